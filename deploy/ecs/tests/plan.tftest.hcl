# terraform test: plans only, against a provider that calls nobody.

mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = {
      json = "{\"Version\": \"2012-10-17\", \"Statement\": []}"
    }
  }

  mock_data "aws_vpc" {
    defaults = {
      cidr_block = "10.0.0.0/16"
    }
  }
}

variables {
  image      = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/support@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
  vpc_id     = "vpc-1"
  subnet_ids = ["subnet-1", "subnet-2"]
}

run "a_private_service" {
  command = plan

  assert {
    condition     = aws_lb.this.internal && !aws_ecs_service.this.network_configuration[0].assign_public_ip
    error_message = "Something has a public address that nobody asked for."
  }

  assert {
    condition     = aws_ecs_service.this.deployment_circuit_breaker[0].rollback && aws_ecs_service.this.alarms[0].rollback
    error_message = "A deployment that fails is not rolled back."
  }

  assert {
    condition     = aws_ecs_task_definition.this.cpu == "1024" && aws_ecs_task_definition.this.memory == "2048"
    error_message = "One CPU is 1024 of ECS' units."
  }

  assert {
    condition     = one(aws_vpc_security_group_ingress_rule.clients[*].cidr_ipv4) == "10.0.0.0/16"
    error_message = "Only the virtual private cloud may call."
  }

  assert {
    condition     = length(aws_appautoscaling_policy.queue) == 0
    error_message = "There is no metric of queues to scale by."
  }
}

run "https" {
  command = plan

  variables {
    public                   = true
    load_balancer_subnet_ids = ["subnet-3", "subnet-4"]
    certificate_arn          = "arn:aws:acm:eu-west-1:123456789012:certificate/00000000-0000-0000-0000-000000000000"
  }

  assert {
    condition     = aws_lb_listener.this.protocol == "HTTPS" && aws_lb_listener.this.port == 443
    error_message = "A certificate means HTTPS."
  }
}

run "scaled_by_the_queue" {
  command = plan

  variables {
    queue_metric_namespace = "Tuneship"
  }

  assert {
    condition     = one(aws_appautoscaling_policy.queue[0].target_tracking_scaling_policy_configuration[0].customized_metric_specification[*].metric_name) == "tuneship_queue_depth"
    error_message = "The queue does not scale."
  }
}

run "a_public_address_needs_a_certificate" {
  command = plan

  variables {
    public = true
  }

  expect_failures = [var.certificate_arn, var.load_balancer_subnet_ids]
}

run "one_zone_is_not_enough" {
  command = plan

  variables {
    subnet_ids = ["subnet-1"]
  }

  expect_failures = [aws_lb.this]
}

run "a_tag_is_no_image" {
  command = plan

  variables {
    image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/support:latest"
  }

  expect_failures = [var.image]
}

run "fargate_has_no_such_memory" {
  command = plan

  variables {
    cpus      = 2
    memory_mb = 2048
  }

  expect_failures = [var.memory_mb]
}

run "memory_that_fargate_has" {
  command = plan

  variables {
    cpus      = 4
    memory_mb = 30720
  }

  assert {
    condition     = aws_ecs_task_definition.this.cpu == "4096"
    error_message = "Four CPUs are 4096 units."
  }
}
