# A Tuneship image as an Amazon ECS service on Fargate, behind a load balancer; docs/deploy/ecs.md says how to apply it.
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
