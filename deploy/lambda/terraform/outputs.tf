output "function_url" {
  description = "Address of the Function URL."
  value       = aws_lambda_function_url.live.function_url
}

output "http_api" {
  description = "Address of the HTTP API; null where answers are streamed."
  value       = var.domain_name == "" ? one(aws_apigatewayv2_api.this[*].api_endpoint) : "https://${var.domain_name}/${var.base_path}"
}

output "domain_target" {
  description = "Where the domain's DNS record points; null without a domain."
  value       = var.domain_name == "" ? null : aws_apigatewayv2_domain_name.this[0].domain_name_configuration[0].target_domain_name
}

output "alias_arn" {
  description = "ARN that callers invoke."
  value       = aws_lambda_alias.live.arn
}

output "log_group" {
  description = "Log group of the function."
  value       = aws_cloudwatch_log_group.this.name
}

output "queue_url" {
  description = "Queue whose messages the function answers; null without one."
  value       = one(aws_sqs_queue.inputs[*].url)
}

output "answers_url" {
  description = "Queue of the answers; null without one."
  value       = one(aws_sqs_queue.answers[*].url)
}

output "dead_letters_url" {
  description = "Queue of the messages that failed; null without one."
  value       = one(aws_sqs_queue.dead_letters[*].url)
}

output "waiting_version" {
  description = "Whether the newest version waits for a deployment."
  value       = aws_lambda_alias.live.function_version != aws_lambda_function.this.version
}

output "deployment" {
  description = "The deployment that moves the alias to the newest version, for aws deploy create-deployment --cli-input-json."
  value = jsonencode({
    applicationName     = aws_codedeploy_app.this.name
    deploymentGroupName = aws_codedeploy_deployment_group.live.deployment_group_name
    revision = {
      revisionType = "AppSpecContent"
      appSpecContent = {
        content = jsonencode({
          version = 0.0
          Resources = [{
            live = {
              Type = "AWS::Lambda::Function"
              Properties = {
                Name           = aws_lambda_function.this.function_name
                Alias          = aws_lambda_alias.live.name
                CurrentVersion = aws_lambda_alias.live.function_version
                TargetVersion  = aws_lambda_function.this.version
              }
            }
          }]
        })
      }
    }
  })
}
