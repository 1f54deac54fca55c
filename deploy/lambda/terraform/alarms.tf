locals {
  alarm_actions = var.alarm_topic_arn == "" ? [] : [var.alarm_topic_arn]
  function      = { FunctionName = aws_lambda_function.this.function_name }
  alias         = merge(local.function, { Resource = "${aws_lambda_function.this.function_name}:live" })
  newest        = merge(local.alias, { ExecutedVersion = aws_lambda_function.this.version })

  # An answer with status 500 is no failed invocation: the URL and the API count those.
  percentages = merge(local.function_percentages, local.api_percentages)
  function_percentages = {
    errors = {
      description = "Invocations fail", namespace = "AWS/Lambda", failures = "Errors", requests = "Invocations"
      dimensions  = local.function, periods = 5, failing = 2
    }
    url-5xx = {
      description = "The Function URL answers 5xx", namespace = "AWS/Lambda", failures = "Url5xxCount", requests = "UrlRequestCount"
      dimensions  = local.alias, periods = 1, failing = 1
    }
  }
  api_percentages = {
    for api in aws_apigatewayv2_api.this : "api-5xx" => {
      description = "The HTTP API answers 5xx", namespace = "AWS/ApiGateway", failures = "5xx", requests = "Count"
      dimensions  = { ApiId = api.id }, periods = 1, failing = 1
    }
  }
}

# A version's own alarms roll its canary back: the traffic of the old version would hide its failures.

resource "aws_cloudwatch_metric_alarm" "canary_errors" {
  alarm_name          = "${var.name}-canary-errors"
  alarm_description   = "Invocations of the newest version fail"
  alarm_actions       = local.alarm_actions
  namespace           = "AWS/Lambda"
  metric_name         = "Errors"
  dimensions          = local.newest
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  tags                = local.tags
}

resource "aws_cloudwatch_metric_alarm" "canary_duration" {
  alarm_name          = "${var.name}-canary-duration"
  alarm_description   = "The newest version is slow"
  alarm_actions       = local.alarm_actions
  namespace           = "AWS/Lambda"
  metric_name         = "Duration"
  dimensions          = local.newest
  extended_statistic  = "p99"
  period              = 60
  evaluation_periods  = 3
  datapoints_to_alarm = 2
  threshold           = var.p99_ms
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  tags                = local.tags
}

resource "aws_cloudwatch_metric_alarm" "percent" {
  for_each = local.percentages

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  alarm_actions       = local.alarm_actions
  evaluation_periods  = each.value.periods
  datapoints_to_alarm = each.value.failing
  threshold           = var.error_percent
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  tags                = local.tags

  metric_query {
    id          = "percent"
    label       = "${each.value.description}, in percent"
    expression  = "IF(requests > 0, 100 * failures / requests, 0)"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { failures = each.value.failures, requests = each.value.requests }

    content {
      id = metric_query.key

      metric {
        namespace   = each.value.namespace
        metric_name = metric_query.value
        dimensions  = each.value.dimensions
        period      = 60
        stat        = "Sum"
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "throttles" {
  alarm_name          = "${var.name}-throttles"
  alarm_description   = "Invocations are refused, as the concurrency is used up"
  alarm_actions       = local.alarm_actions
  namespace           = "AWS/Lambda"
  metric_name         = "Throttles"
  dimensions          = local.function
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 5
  datapoints_to_alarm = 2
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  tags                = local.tags
}

resource "aws_cloudwatch_metric_alarm" "duration" {
  alarm_name          = "${var.name}-duration"
  alarm_description   = "The slowest of 100 invocations takes too long"
  alarm_actions       = local.alarm_actions
  namespace           = "AWS/Lambda"
  metric_name         = "Duration"
  dimensions          = local.function
  extended_statistic  = "p99"
  period              = 60
  evaluation_periods  = 5
  datapoints_to_alarm = 3
  threshold           = var.p99_ms
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  tags                = local.tags
}

resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  count = var.queue ? 1 : 0

  alarm_name          = "${var.name}-dead-letters"
  alarm_description   = "Messages failed five times"
  alarm_actions       = local.alarm_actions
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.dead_letters[0].name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  tags                = local.tags
}
