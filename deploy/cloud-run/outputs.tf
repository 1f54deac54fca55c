output "url" {
  description = "Where the service answers."
  value       = google_cloud_run_v2_service.this.uri
}

output "newest_revision" {
  description = "Revision of this apply; the stable_revision of the next canary."
  value       = google_cloud_run_v2_service.this.latest_ready_revision
}

output "service_account" {
  description = "Who the container is, with no roles."
  value       = google_service_account.this.email
}
