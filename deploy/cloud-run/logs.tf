# The log goes into a bucket of its own, which alone can keep it shorter or longer than the project's other logs.

locals {
  own_log = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${var.name}\""
}

resource "google_logging_project_bucket_config" "this" {
  project        = var.project
  location       = var.region
  bucket_id      = var.name
  retention_days = var.log_retention_days
}

resource "google_logging_project_sink" "this" {
  project                = var.project
  name                   = var.name
  destination            = "logging.googleapis.com/${google_logging_project_bucket_config.this.id}"
  filter                 = local.own_log
  unique_writer_identity = true
}

resource "google_logging_project_exclusion" "this" {
  project     = var.project
  name        = var.name
  description = "Kept in the bucket ${google_logging_project_bucket_config.this.bucket_id}."
  filter      = local.own_log
}
