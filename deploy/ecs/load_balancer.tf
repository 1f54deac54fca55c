data "aws_vpc" "this" {
  id = var.vpc_id
}

locals {
  https   = var.certificate_arn != ""
  subnets = length(var.load_balancer_subnet_ids) == 0 ? var.subnet_ids : var.load_balancer_subnet_ids
  clients = length(var.client_cidr_blocks) == 0 ? [data.aws_vpc.this.cidr_block] : var.client_cidr_blocks
}

resource "aws_lb" "this" {
  name                       = var.name
  load_balancer_type         = "application"
  internal                   = !var.public
  subnets                    = local.subnets
  security_groups            = [aws_security_group.load_balancer.id]
  idle_timeout               = var.timeout_seconds
  drop_invalid_header_fields = true
  enable_deletion_protection = var.deletion_protection
  tags                       = local.tags

  lifecycle {
    precondition {
      condition     = length(local.subnets) >= 2
      error_message = "A load balancer needs subnets in two availability zones or more."
    }
  }
}

resource "aws_lb_target_group" "this" {
  name                          = var.name
  vpc_id                        = var.vpc_id
  target_type                   = "ip"
  protocol                      = "HTTP"
  port                          = local.port
  deregistration_delay          = 30
  load_balancing_algorithm_type = "least_outstanding_requests"
  tags                          = local.tags

  health_check {
    path                = "/readyz"
    matcher             = "200"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }
}

resource "aws_lb_listener" "this" {
  load_balancer_arn = aws_lb.this.arn
  port              = local.https ? 443 : 80
  protocol          = local.https ? "HTTPS" : "HTTP"
  certificate_arn   = local.https ? var.certificate_arn : null
  ssl_policy        = local.https ? "ELBSecurityPolicy-TLS13-1-2-2021-06" : null
  tags              = local.tags

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.this.arn
  }
}

resource "aws_security_group" "load_balancer" {
  name_prefix = "${var.name}-load-balancer-"
  description = "Load balancer of ${var.name}"
  vpc_id      = var.vpc_id
  tags        = local.tags
}

resource "aws_security_group" "service" {
  name_prefix = "${var.name}-service-"
  description = "Tasks of ${var.name}"
  vpc_id      = var.vpc_id
  tags        = local.tags
}

resource "aws_vpc_security_group_ingress_rule" "clients" {
  count = max(1, length(var.client_cidr_blocks))

  security_group_id = aws_security_group.load_balancer.id
  description       = "Clients"
  cidr_ipv4         = local.clients[count.index]
  ip_protocol       = "tcp"
  from_port         = aws_lb_listener.this.port
  to_port           = aws_lb_listener.this.port
}

resource "aws_vpc_security_group_egress_rule" "to_service" {
  security_group_id            = aws_security_group.load_balancer.id
  description                  = "Requests and health checks"
  referenced_security_group_id = aws_security_group.service.id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

resource "aws_vpc_security_group_ingress_rule" "from_load_balancer" {
  security_group_id            = aws_security_group.service.id
  description                  = "Requests and health checks"
  referenced_security_group_id = aws_security_group.load_balancer.id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

resource "aws_vpc_security_group_egress_rule" "image_and_logs" {
  security_group_id = aws_security_group.service.id
  description       = "Image and logs"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}
