locals {
  tags = merge(var.tags, { "tuneship:bundle-digest" = var.bundle_digest })

  environment = merge(
    { TUNESHIP_LOG_FORMAT = "json", TUNESHIP_LOG_REQUESTS = "1", TUNESHIP_LAMBDA_INVOKE_MODE = var.invoke_mode },
    { for queue in aws_sqs_queue.answers : "TUNESHIP_SQS_ANSWERS" => queue.url },
    var.threads == 0 ? {} : { TUNESHIP_THREADS = tostring(var.threads) },
    var.base_path == "" ? {} : { TUNESHIP_ROOT_PATH = "/${var.base_path}" },
    var.environment,
  )
}

resource "aws_lambda_function" "this" {
  function_name = var.name
  description   = "Tuneship ${var.image}"
  role          = aws_iam_role.this.arn
  package_type  = "Image"
  image_uri     = var.image
  architectures = [var.architecture]
  memory_size   = var.memory_mb
  timeout       = var.timeout_seconds
  # -1 shares the account's concurrency; 0 would switch the function off.
  reserved_concurrent_executions = var.max_replicas == 0 ? -1 : var.max_replicas
  # Each change is a version, which the alias takes by a canary.
  publish = true
  tags    = local.tags

  image_config {
    command = ["lambda"]
  }

  environment {
    variables = local.environment
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.this.name
  }

  dynamic "snap_start" {
    for_each = var.snap_start ? [true] : []

    content {
      apply_on = "PublishedVersions"
    }
  }

  depends_on = [aws_iam_role_policy.this]
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_retention_days
  tags              = local.tags
}

resource "aws_iam_role" "this" {
  name_prefix        = "${substr(var.name, 0, 28)}-function-"
  assume_role_policy = data.aws_iam_policy_document.trust["lambda"].json
  tags               = local.tags
}

data "aws_iam_policy_document" "trust" {
  for_each = toset(["lambda", "codedeploy"])

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["${each.key}.amazonaws.com"]
    }
  }
}

resource "aws_iam_role_policy" "this" {
  name   = "own"
  role   = aws_iam_role.this.id
  policy = data.aws_iam_policy_document.own.json
}

# The log group is made above: the function may write into it and, with a queue, read that and answer; nothing else.
data "aws_iam_policy_document" "own" {
  statement {
    sid       = "Log"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.this.arn}:*"]
  }

  dynamic "statement" {
    for_each = aws_sqs_queue.inputs

    content {
      sid       = "Read"
      actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
      resources = [statement.value.arn]
    }
  }

  dynamic "statement" {
    for_each = aws_sqs_queue.answers

    content {
      sid       = "Answer"
      actions   = ["sqs:SendMessage"]
      resources = [statement.value.arn]
    }
  }
}
