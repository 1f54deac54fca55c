# A Tuneship image as an AWS Lambda function; docs/deploy/lambda.md says how to apply it.
# The provider's configuration (region, tags, credentials) is the caller's.
terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7"
    }
  }
}
