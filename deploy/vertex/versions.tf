# A Tuneship image as a Vertex AI endpoint; docs/deploy/vertex.md says how to apply it.
# The provider's configuration (credentials, labels) is the caller's.
terraform {
  required_version = ">= 1.9"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.0, < 8"
    }
  }
}
