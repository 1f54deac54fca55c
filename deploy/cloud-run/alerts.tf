locals {
  of_service = "resource.type = \"cloud_run_revision\" AND resource.labels.service_name = \"${var.name}\""
}

resource "google_monitoring_alert_policy" "errors" {
  project               = var.project
  display_name          = "${var.name} answers 5xx"
  combiner              = "OR"
  notification_channels = var.notification_channels

  conditions {
    display_name = "Requests are answered with 5xx"

    condition_threshold {
      filter          = "${local.of_service} AND metric.type = \"run.googleapis.com/request_count\" AND metric.labels.response_code_class = \"5xx\""
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "120s"

      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    content = "If the newest revision is at fault, give its requests back: stable_revision and canary_percent = 0."
  }
}

resource "google_monitoring_alert_policy" "latency" {
  project               = var.project
  display_name          = "${var.name} is slow"
  combiner              = "OR"
  notification_channels = var.notification_channels

  conditions {
    display_name = "The slowest of 100 requests takes too long"

    condition_threshold {
      filter          = "${local.of_service} AND metric.type = \"run.googleapis.com/request_latencies\""
      comparison      = "COMPARISON_GT"
      threshold_value = var.p99_ms
      duration        = "300s"

      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_PERCENTILE_99"
        cross_series_reducer = "REDUCE_MAX"
      }
    }
  }

  documentation {
    content = "If instances are at their most (max_replicas), raise it; else lower concurrency."
  }
}
