# Messages of a queue

resource "aws_sqs_queue" "inputs" {
  count = var.queue ? 1 : 0

  name                    = "${var.name}-inputs"
  sqs_managed_sse_enabled = true
  # AWS asks for six times the function's timeout, so that a message is not answered twice.
  visibility_timeout_seconds = 6 * var.timeout_seconds
  message_retention_seconds  = 345600
  tags                       = local.tags

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters[0].arn
    maxReceiveCount     = 5
  })
}

resource "aws_sqs_queue" "answers" {
  count = var.queue ? 1 : 0

  name                      = "${var.name}-answers"
  sqs_managed_sse_enabled   = true
  message_retention_seconds = 345600
  tags                      = local.tags
}

resource "aws_sqs_queue" "dead_letters" {
  count = var.queue ? 1 : 0

  name                      = "${var.name}-dead-letters"
  sqs_managed_sse_enabled   = true
  message_retention_seconds = 1209600
  tags                      = local.tags
}

resource "aws_lambda_event_source_mapping" "inputs" {
  count = var.queue ? 1 : 0

  event_source_arn        = aws_sqs_queue.inputs[0].arn
  function_name           = aws_lambda_alias.live.arn
  batch_size              = var.batch_size
  function_response_types = ["ReportBatchItemFailures"]
  tags                    = local.tags

  scaling_config {
    maximum_concurrency = var.queue_concurrency
  }
}

# Warm-up

resource "aws_cloudwatch_event_rule" "warm_up" {
  count = var.warm_up ? 1 : 0

  name                = "${var.name}-warm-up"
  description         = "Keeps an instance of ${var.name} warm"
  schedule_expression = "rate(5 minutes)"
  tags                = local.tags
}

resource "aws_cloudwatch_event_target" "warm_up" {
  count = var.warm_up ? 1 : 0

  rule = aws_cloudwatch_event_rule.warm_up[0].name
  arn  = aws_lambda_alias.live.arn
}

resource "aws_lambda_permission" "warm_up" {
  count = var.warm_up ? 1 : 0

  statement_id  = "WarmUp"
  action        = "lambda:InvokeFunction"
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.warm_up[0].arn
  function_name = aws_lambda_function.this.function_name
  qualifier     = aws_lambda_alias.live.name
}
