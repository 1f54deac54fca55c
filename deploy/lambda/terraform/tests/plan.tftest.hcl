# terraform test: plans only, against a provider that calls nobody.

mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = {
      json = "{\"Version\": \"2012-10-17\", \"Statement\": []}"
    }
  }

  mock_data "aws_partition" {
    defaults = {
      partition = "aws"
    }
  }
}

variables {
  image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/support@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
}

run "the_defaults_let_nobody_in" {
  command = plan

  assert {
    condition     = aws_lambda_function_url.live.authorization_type == "AWS_IAM" && aws_apigatewayv2_route.default[0].authorization_type == "AWS_IAM"
    error_message = "Somebody may call without a signature."
  }

  assert {
    condition     = length(aws_lambda_permission.public_url) == 0 && length(aws_sqs_queue.inputs) == 0 && length(aws_cloudwatch_event_rule.warm_up) == 0
    error_message = "Something is made that nobody asked for."
  }

  assert {
    condition     = aws_lambda_function.this.reserved_concurrent_executions == -1 && length(aws_lambda_function.this.snap_start) == 0
    error_message = "The account's concurrency is shared by default, and there is no snapshot."
  }
}

run "snap_start" {
  command = plan

  variables {
    snap_start = true
  }

  assert {
    condition     = aws_lambda_function.this.snap_start[0].apply_on == "PublishedVersions"
    error_message = "Versions have no snapshot."
  }
}

run "a_queue" {
  command = plan

  variables {
    queue           = true
    timeout_seconds = 45
  }

  assert {
    condition     = aws_sqs_queue.inputs[0].visibility_timeout_seconds == 270
    error_message = "A message must stay hidden for six timeouts."
  }

  assert {
    condition     = contains(aws_lambda_event_source_mapping.inputs[0].function_response_types, "ReportBatchItemFailures")
    error_message = "One message that fails must not repeat its whole batch."
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.dead_letters) == 1
    error_message = "Nobody is told of dead letters."
  }
}

run "streams" {
  command = plan

  variables {
    invoke_mode = "RESPONSE_STREAM"
  }

  assert {
    condition     = length(aws_apigatewayv2_api.this) == 0 && aws_lambda_function_url.live.invoke_mode == "RESPONSE_STREAM"
    error_message = "The HTTP API reads no streamed answers."
  }

  assert {
    condition     = !contains(keys(aws_cloudwatch_metric_alarm.percent), "api-5xx")
    error_message = "An alarm watches an API that is not there."
  }
}

run "a_tag_is_no_image" {
  command = plan

  variables {
    image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/support:latest"
  }

  expect_failures = [var.image]
}

run "snapstart_excludes_provisioned_concurrency" {
  command = plan

  variables {
    snap_start   = true
    min_replicas = 2
  }

  expect_failures = [var.min_replicas]
}

run "a_domain_needs_a_certificate" {
  command = plan

  variables {
    domain_name = "support.example.org"
  }

  expect_failures = [var.domain_name]
}

run "streams_have_no_load_balancer" {
  command = plan

  variables {
    invoke_mode  = "RESPONSE_STREAM"
    listener_arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/all/1/2"
  }

  expect_failures = [var.invoke_mode]
}
