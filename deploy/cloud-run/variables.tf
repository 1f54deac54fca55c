# Where

variable "project" {
  description = "Google Cloud project."
  type        = string
}

variable "region" {
  description = "Region of the service."
  type        = string
  default     = "europe-west1"
}

# What runs

variable "name" {
  description = "Name of the service; its service account, log bucket and alerts have it too."
  type        = string
  default     = "tuneship"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.name))
    error_message = "name has 6 to 30 small letters, digits and hyphens; it begins with a letter and ends with none."
  }
}

variable "image" {
  description = "Image in Artifact Registry, by its digest: REGION-docker.pkg.dev/PROJECT/REPOSITORY/NAME@sha256:DIGEST."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9.-]+/[a-z0-9._/-]+@sha256:[0-9a-f]{64}$", var.image))
    error_message = "image is REGISTRY/NAME@sha256:DIGEST; a tag is not accepted."
  }
}

variable "bundle_digest" {
  description = "Digest of the bundle in the image; written into the revision's annotations."
  type        = string
  default     = "unknown"
}

# Size

variable "memory_mb" {
  description = "Memory of an instance in MiB."
  type        = number
  default     = 1024

  validation {
    condition     = var.memory_mb >= 512 && var.memory_mb <= 32768
    error_message = "memory_mb is 512 to 32768: the second generation of Cloud Run needs 512."
  }
}

variable "cpus" {
  description = "CPUs of an instance."
  type        = number
  default     = 1

  validation {
    condition     = contains([1, 2, 4, 6, 8], var.cpus)
    error_message = "cpus is 1, 2, 4, 6 or 8: with less than one, Cloud Run answers one request at a time."
  }
}

variable "threads" {
  description = "CPU threads of the graph; 0 takes as many as there are CPUs."
  type        = number
  default     = 0

  validation {
    condition     = var.threads >= 0 && var.threads <= 8
    error_message = "threads is 0 to 8."
  }
}

variable "concurrency" {
  description = "Requests that an instance gets at once; the server runs those that wait together."
  type        = number
  default     = 80

  validation {
    condition     = var.concurrency >= 1 && var.concurrency <= 1000
    error_message = "concurrency is 1 to 1000."
  }
}

variable "min_replicas" {
  description = "Instances that are always there; with 0, a first request waits for a cold start."
  type        = number
  default     = 0

  validation {
    condition     = var.min_replicas >= 0
    error_message = "min_replicas is 0 or more."
  }
}

variable "max_replicas" {
  description = "Most instances."
  type        = number
  default     = 10

  validation {
    condition     = var.max_replicas >= 1 && var.max_replicas >= var.min_replicas
    error_message = "max_replicas is at least 1 and at least min_replicas."
  }
}

variable "timeout_seconds" {
  description = "Longest time of one request."
  type        = number
  default     = 30

  validation {
    condition     = var.timeout_seconds >= 1 && var.timeout_seconds <= 3600
    error_message = "timeout_seconds is 1 to 3600."
  }
}

# Who may call

variable "ingress" {
  description = "Which networks reach the service."
  type        = string
  default     = "INGRESS_TRAFFIC_ALL"

  validation {
    condition     = contains(["INGRESS_TRAFFIC_ALL", "INGRESS_TRAFFIC_INTERNAL_ONLY", "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"], var.ingress)
    error_message = "ingress is INGRESS_TRAFFIC_ALL, INGRESS_TRAFFIC_INTERNAL_ONLY or INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER."
  }
}

variable "invokers" {
  description = "Who may call, such as serviceAccount:NAME@PROJECT.iam.gserviceaccount.com; allUsers lets everybody in."
  type        = set(string)
  default     = []
}

# Canary

variable "stable_revision" {
  description = "Revision that gets what the newest one does not, such as tuneship-00007-abc; empty: the newest gets all."
  type        = string
  default     = ""
}

variable "canary_percent" {
  description = "Share of requests that the newest revision gets beside stable_revision."
  type        = number
  default     = 10

  validation {
    condition     = var.canary_percent >= 0 && var.canary_percent <= 100
    error_message = "canary_percent is 0 to 100."
  }
}

# Logs and alerts

variable "log_retention_days" {
  description = "Days that the service's log is kept, in a bucket of its own."
  type        = number
  default     = 30

  validation {
    condition     = var.log_retention_days >= 1 && var.log_retention_days <= 3650
    error_message = "log_retention_days is 1 to 3650."
  }
}

variable "p99_ms" {
  description = "An alert tells when the slowest of 100 requests takes longer, in ms."
  type        = number
  default     = 1000

  validation {
    condition     = var.p99_ms > 0
    error_message = "p99_ms is above 0."
  }
}

variable "notification_channels" {
  description = "Ids of the monitoring channels that hear of alerts."
  type        = list(string)
  default     = []
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete the service."
  type        = bool
  default     = true
}
