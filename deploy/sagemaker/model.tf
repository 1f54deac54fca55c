locals {
  tags = { "tuneship:bundle-digest" = var.bundle_digest }

  # SageMaker asks port 8080 and does not tell; with /opt/ml/model the server would know by itself.
  variables = merge(
    { PORT = "8080", TUNESHIP_LOG_FORMAT = "json", TUNESHIP_WAIT_SECONDS = tostring(var.timeout_seconds) },
    var.threads == 0 ? {} : { TUNESHIP_THREADS = tostring(var.threads) },
  )

  main   = { image = var.image, model_data_url = var.model_data_url }
  canary = { image = var.canary_image, model_data_url = var.canary_model_data_url }
  models = var.canary_image == "" ? { main = local.main } : { main = local.main, canary = local.canary }

  weights = var.canary_image == "" ? { main = 100 } : { main = 100 - var.canary_percent, canary = var.canary_percent }

  # What SageMaker names cannot be altered: another content is another name.
  names = {
    for variant, model in local.models :
    variant => "${var.name}-${variant}-${substr(sha256(jsonencode([model, local.variables])), 0, 10)}"
  }
}

resource "aws_sagemaker_model" "this" {
  for_each = local.models

  name                     = local.names[each.key]
  execution_role_arn       = aws_iam_role.this.arn
  enable_network_isolation = true
  tags                     = local.tags

  primary_container {
    image          = each.value.image
    model_data_url = each.value.model_data_url == "" ? null : each.value.model_data_url
    environment    = local.variables
  }

  dynamic "vpc_config" {
    for_each = length(var.subnet_ids) == 0 ? [] : [var.subnet_ids]

    content {
      subnets            = vpc_config.value
      security_group_ids = var.security_group_ids
    }
  }

  lifecycle {
    create_before_destroy = true
  }

  depends_on = [aws_iam_role_policy.this]
}
