locals {
  alarm_actions = var.alarm_topic_arn == "" ? [] : [var.alarm_topic_arn]
  balancer      = { LoadBalancer = aws_lb.this.arn_suffix }
  targets       = merge(local.balancer, { TargetGroup = aws_lb_target_group.this.arn_suffix })
}

resource "aws_cloudwatch_metric_alarm" "failures" {
  alarm_name          = "${var.name}-5xx"
  alarm_description   = "The tasks answer 5xx"
  alarm_actions       = local.alarm_actions
  evaluation_periods  = 3
  datapoints_to_alarm = 2
  threshold           = var.error_percent
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  tags                = local.tags

  metric_query {
    id          = "percent"
    label       = "5xx answers in percent"
    expression  = "IF(requests > 0, 100 * FILL(failures, 0) / requests, 0)"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { failures = "HTTPCode_Target_5XX_Count", requests = "RequestCount" }

    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/ApplicationELB"
        metric_name = metric_query.value
        dimensions  = local.targets
        period      = 60
        stat        = "Sum"
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "duration" {
  alarm_name          = "${var.name}-duration"
  alarm_description   = "The slowest of 100 requests takes too long"
  alarm_actions       = local.alarm_actions
  namespace           = "AWS/ApplicationELB"
  metric_name         = "TargetResponseTime"
  dimensions          = local.targets
  extended_statistic  = "p99"
  period              = 60
  evaluation_periods  = 5
  datapoints_to_alarm = 3
  threshold           = var.p99_ms / 1000
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  tags                = local.tags
}

resource "aws_cloudwatch_metric_alarm" "unhealthy" {
  alarm_name          = "${var.name}-unhealthy"
  alarm_description   = "A task answers no health checks"
  alarm_actions       = local.alarm_actions
  namespace           = "AWS/ApplicationELB"
  metric_name         = "UnHealthyHostCount"
  dimensions          = local.targets
  statistic           = "Minimum"
  period              = 60
  evaluation_periods  = 5
  datapoints_to_alarm = 3
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  tags                = local.tags
}
