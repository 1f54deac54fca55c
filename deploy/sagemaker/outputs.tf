output "endpoint" {
  description = "Name for aws sagemaker-runtime invoke-endpoint --endpoint-name."
  value       = aws_sagemaker_endpoint.this.name
}

output "models" {
  description = "Names of the models by variant, for aws sagemaker create-transform-job --model-name."
  value       = { for variant, model in aws_sagemaker_model.this : variant => model.name }
}
