# The Function URL

resource "aws_lambda_function_url" "live" {
  function_name      = aws_lambda_function.this.function_name
  qualifier          = aws_lambda_alias.live.name
  authorization_type = var.function_url_authorization
  invoke_mode        = var.invoke_mode
}

resource "aws_lambda_permission" "public_url" {
  count = var.function_url_authorization == "NONE" ? 1 : 0

  statement_id           = "PublicUrl"
  action                 = "lambda:InvokeFunctionUrl"
  principal              = "*"
  function_url_auth_type = "NONE"
  function_name          = aws_lambda_function.this.function_name
  qualifier              = aws_lambda_alias.live.name
}

# The HTTP API, which reads no streamed answers

locals {
  has_http_api = var.invoke_mode == "BUFFERED"
}

resource "aws_apigatewayv2_api" "this" {
  count = local.has_http_api ? 1 : 0

  name                         = var.name
  protocol_type                = "HTTP"
  disable_execute_api_endpoint = var.domain_name != ""
  tags                         = local.tags
}

resource "aws_apigatewayv2_integration" "this" {
  count = local.has_http_api ? 1 : 0

  api_id                 = aws_apigatewayv2_api.this[0].id
  integration_type       = "AWS_PROXY"
  integration_uri        = aws_lambda_alias.live.arn
  payload_format_version = "2.0"
}

resource "aws_apigatewayv2_route" "default" {
  count = local.has_http_api ? 1 : 0

  api_id             = aws_apigatewayv2_api.this[0].id
  route_key          = "$default"
  authorization_type = var.http_api_authorization
  target             = "integrations/${aws_apigatewayv2_integration.this[0].id}"
}

resource "aws_apigatewayv2_stage" "default" {
  count = local.has_http_api ? 1 : 0

  api_id      = aws_apigatewayv2_api.this[0].id
  name        = "$default"
  auto_deploy = true
  tags        = local.tags

  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.http_api[0].arn
    # No query and no body: they may hold what a caller typed.
    format = jsonencode({
      requestId = "$context.requestId"
      time      = "$context.requestTime"
      method    = "$context.httpMethod"
      status    = "$context.status"
      latency   = "$context.responseLatency"
      error     = "$context.integrationErrorMessage"
    })
  }
}

resource "aws_cloudwatch_log_group" "http_api" {
  count = local.has_http_api ? 1 : 0

  name              = "/aws/http-api/${var.name}"
  retention_in_days = var.log_retention_days
  tags              = local.tags
}

resource "aws_lambda_permission" "http_api" {
  count = local.has_http_api ? 1 : 0

  statement_id  = "HttpApi"
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this[0].execution_arn}/*"
  function_name = aws_lambda_function.this.function_name
  qualifier     = aws_lambda_alias.live.name
}

resource "aws_apigatewayv2_domain_name" "this" {
  count = var.domain_name == "" ? 0 : 1

  domain_name = var.domain_name
  tags        = local.tags

  domain_name_configuration {
    certificate_arn = var.certificate_arn
    endpoint_type   = "REGIONAL"
    security_policy = "TLS_1_2"
  }
}

resource "aws_apigatewayv2_api_mapping" "this" {
  count = var.domain_name == "" ? 0 : 1

  api_id          = aws_apigatewayv2_api.this[0].id
  domain_name     = aws_apigatewayv2_domain_name.this[0].id
  stage           = aws_apigatewayv2_stage.default[0].id
  api_mapping_key = var.base_path == "" ? null : var.base_path
}

# A load balancer that is there already

resource "aws_lb_target_group" "this" {
  count = var.listener_arn == "" ? 0 : 1

  name                               = substr(var.name, 0, 32)
  target_type                        = "lambda"
  lambda_multi_value_headers_enabled = true
  tags                               = local.tags
}

resource "aws_lb_target_group_attachment" "this" {
  count = var.listener_arn == "" ? 0 : 1

  target_group_arn = aws_lb_target_group.this[0].arn
  target_id        = aws_lambda_alias.live.arn

  depends_on = [aws_lambda_permission.load_balancer]
}

resource "aws_lambda_permission" "load_balancer" {
  count = var.listener_arn == "" ? 0 : 1

  statement_id  = "LoadBalancer"
  action        = "lambda:InvokeFunction"
  principal     = "elasticloadbalancing.amazonaws.com"
  source_arn    = aws_lb_target_group.this[0].arn
  function_name = aws_lambda_function.this.function_name
  qualifier     = aws_lambda_alias.live.name
}

resource "aws_lb_listener_rule" "this" {
  count = var.listener_arn == "" ? 0 : 1

  listener_arn = var.listener_arn
  priority     = var.listener_priority
  tags         = local.tags

  condition {
    path_pattern {
      values = var.base_path == "" ? ["/*"] : ["/${var.base_path}", "/${var.base_path}/*"]
    }
  }

  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.this[0].arn
  }
}
