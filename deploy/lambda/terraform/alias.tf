# Terraform makes the alias once; from then on CodeDeploy moves it, so that a version that fails is taken back.
resource "aws_lambda_alias" "live" {
  name             = "live"
  description      = "What callers get"
  function_name    = aws_lambda_function.this.function_name
  function_version = aws_lambda_function.this.version

  lifecycle {
    ignore_changes = [function_version, routing_config]
  }
}

resource "aws_lambda_provisioned_concurrency_config" "live" {
  count = var.min_replicas == 0 ? 0 : 1

  function_name                     = aws_lambda_function.this.function_name
  qualifier                         = aws_lambda_alias.live.name
  provisioned_concurrent_executions = var.min_replicas
}

resource "aws_codedeploy_app" "this" {
  name             = var.name
  compute_platform = "Lambda"
  tags             = local.tags
}

resource "aws_codedeploy_deployment_group" "live" {
  app_name               = aws_codedeploy_app.this.name
  deployment_group_name  = "live"
  deployment_config_name = "CodeDeployDefault.Lambda${var.deployment}"
  service_role_arn       = aws_iam_role.deployment.arn
  tags                   = local.tags

  deployment_style {
    deployment_type   = "BLUE_GREEN"
    deployment_option = "WITH_TRAFFIC_CONTROL"
  }

  alarm_configuration {
    enabled = true
    alarms = concat(
      [
        aws_cloudwatch_metric_alarm.canary_errors.alarm_name,
        aws_cloudwatch_metric_alarm.canary_duration.alarm_name,
      ],
      [for name, alarm in aws_cloudwatch_metric_alarm.percent : alarm.alarm_name if name != "errors"],
    )
  }

  auto_rollback_configuration {
    enabled = true
    events  = ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"]
  }
}

resource "aws_iam_role" "deployment" {
  name_prefix        = "${substr(var.name, 0, 26)}-deployment-"
  assume_role_policy = data.aws_iam_policy_document.trust["codedeploy"].json
  tags               = local.tags
}

data "aws_partition" "this" {}

resource "aws_iam_role_policy_attachment" "deployment" {
  role       = aws_iam_role.deployment.name
  policy_arn = "arn:${data.aws_partition.this.partition}:iam::aws:policy/service-role/AWSCodeDeployRoleForLambdaLimited"
}
