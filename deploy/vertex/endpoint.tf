# It has no roles: the server calls nobody. Where artifact_uri is set, Vertex AI copies the bundle itself and lets the
# container read the copy.
resource "google_service_account" "this" {
  project      = var.project
  account_id   = var.name
  display_name = "Tuneship ${var.name} on Vertex AI"
}

locals {
  # An endpoint's name is a number; this one stays the same.
  endpoint_number = tostring(1000000000 + parseint(substr(sha256("${var.project}/${var.region}/${var.name}"), 0, 7), 16))
}

resource "google_vertex_ai_endpoint" "this" {
  project                    = var.project
  location                   = var.region
  region                     = var.region
  name                       = local.endpoint_number
  display_name               = var.name
  description                = "Tuneship ${var.name}"
  dedicated_endpoint_enabled = true

  dynamic "encryption_spec" {
    for_each = var.kms_key_name == "" ? [] : [var.kms_key_name]

    content {
      kms_key_name = encryption_spec.value
    }
  }

  # Deployed models come and go by deployModel.
  lifecycle {
    ignore_changes = [traffic_split]
  }
}

output "endpoint" {
  description = "Name of the endpoint, before :deployModel and :predict."
  value       = google_vertex_ai_endpoint.this.id
}
