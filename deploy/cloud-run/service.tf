# It has no roles: the server calls nobody, and Cloud Run pulls the image and writes the log itself.
resource "google_service_account" "this" {
  project      = var.project
  account_id   = var.name
  display_name = "Tuneship ${var.name} on Cloud Run"
}

locals {
  canary = var.stable_revision == "" ? {} : { stable = 100 - var.canary_percent }

  variables = {
    TUNESHIP_LOG_FORMAT   = "json"
    TUNESHIP_THREADS      = tostring(var.threads == 0 ? var.cpus : var.threads)
    TUNESHIP_WAIT_SECONDS = tostring(var.timeout_seconds)
    # Cloud Run sends no new request to an instance that it stops, and ends it ten seconds later.
    TUNESHIP_DRAIN_SECONDS = "0"
    TUNESHIP_GRACE_SECONDS = "8"
  }
}

resource "google_cloud_run_v2_service" "this" {
  project             = var.project
  location            = var.region
  name                = var.name
  ingress             = var.ingress
  deletion_protection = var.deletion_protection

  template {
    annotations                      = { "tuneship/bundle-digest" = var.bundle_digest }
    service_account                  = google_service_account.this.email
    execution_environment            = "EXECUTION_ENVIRONMENT_GEN2"
    max_instance_request_concurrency = var.concurrency
    timeout                          = "${var.timeout_seconds}s"

    scaling {
      min_instance_count = var.min_replicas
      max_instance_count = var.max_replicas
    }

    containers {
      image = var.image

      # Cloud Run sets PORT to it.
      ports {
        container_port = 3000
      }

      resources {
        limits            = { cpu = tostring(var.cpus), memory = "${var.memory_mb}Mi" }
        cpu_idle          = true
        startup_cpu_boost = true
      }

      dynamic "env" {
        for_each = local.variables

        content {
          name  = env.key
          value = env.value
        }
      }

      startup_probe {
        period_seconds    = 2
        timeout_seconds   = 2
        failure_threshold = 60

        http_get {
          path = "/readyz"
          port = 3000
        }
      }

      liveness_probe {
        period_seconds    = 10
        timeout_seconds   = 3
        failure_threshold = 3

        http_get {
          path = "/livez"
          port = 3000
        }
      }
    }
  }

  traffic {
    type    = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"
    percent = var.stable_revision == "" ? 100 : var.canary_percent
  }

  dynamic "traffic" {
    for_each = local.canary

    content {
      type     = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"
      revision = var.stable_revision
      percent  = traffic.value
    }
  }
}

resource "google_cloud_run_v2_service_iam_member" "invokers" {
  for_each = var.invokers

  project  = var.project
  location = var.region
  name     = google_cloud_run_v2_service.this.name
  role     = "roles/run.invoker"
  member   = each.value
}
