# Data capture is off: requests and answers are stored nowhere.
resource "aws_sagemaker_endpoint_configuration" "this" {
  name        = "${var.name}-${substr(sha256(jsonencode([local.names, local.weights, var.instance_type, var.min_replicas])), 0, 10)}"
  kms_key_arn = var.kms_key_arn == "" ? null : var.kms_key_arn
  tags        = local.tags

  dynamic "production_variants" {
    for_each = local.weights

    content {
      variant_name                                      = production_variants.key
      model_name                                        = aws_sagemaker_model.this[production_variants.key].name
      instance_type                                     = var.instance_type
      initial_instance_count                            = var.min_replicas
      initial_variant_weight                            = production_variants.value
      container_startup_health_check_timeout_in_seconds = 300
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}

# An update starts new instances beside the old ones, moves a share of the traffic, and goes back if an alarm rings.
resource "aws_sagemaker_endpoint" "this" {
  name                 = var.name
  endpoint_config_name = aws_sagemaker_endpoint_configuration.this.name
  tags                 = local.tags

  deployment_config {
    blue_green_update_policy {
      termination_wait_in_seconds          = 120
      maximum_execution_timeout_in_seconds = 7200

      traffic_routing_configuration {
        type                     = "CANARY"
        wait_interval_in_seconds = var.canary_seconds

        canary_size {
          type  = "CAPACITY_PERCENT"
          value = var.canary_percent
        }
      }
    }

    auto_rollback_configuration {
      dynamic "alarms" {
        for_each = concat(values(aws_cloudwatch_metric_alarm.errors), values(aws_cloudwatch_metric_alarm.latency))

        content {
          alarm_name = alarms.value.alarm_name
        }
      }
    }
  }

  depends_on = [aws_cloudwatch_log_group.this]
}

resource "aws_appautoscaling_target" "this" {
  for_each = local.weights

  service_namespace  = "sagemaker"
  scalable_dimension = "sagemaker:variant:DesiredInstanceCount"
  resource_id        = "endpoint/${aws_sagemaker_endpoint.this.name}/variant/${each.key}"
  min_capacity       = var.min_replicas
  max_capacity       = var.max_replicas
}

resource "aws_appautoscaling_policy" "this" {
  for_each = aws_appautoscaling_target.this

  name               = "${var.name}-${each.key}-concurrency"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = each.value.service_namespace
  scalable_dimension = each.value.scalable_dimension
  resource_id        = each.value.resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = var.concurrency
    scale_in_cooldown  = 300
    scale_out_cooldown = 60

    predefined_metric_specification {
      predefined_metric_type = "SageMakerVariantConcurrentRequestsPerModelHighResolution"
    }
  }
}
