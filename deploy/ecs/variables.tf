# What runs

variable "name" {
  description = "Name of the service; the cluster, log group and load balancer have it too."
  type        = string
  default     = "tuneship"

  validation {
    condition     = can(regex("^[a-zA-Z][a-zA-Z0-9-]{0,26}[a-zA-Z0-9]$", var.name))
    error_message = "name has 2 to 28 letters, digits and hyphens, begins with a letter and ends without a hyphen."
  }
}

variable "image" {
  description = "Image in a registry, by its digest: REGISTRY/REPOSITORY@sha256:DIGEST."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9.:/_-]+@sha256:[0-9a-f]{64}$", var.image))
    error_message = "image is REGISTRY/REPOSITORY@sha256:DIGEST; a tag is not accepted."
  }
}

variable "repository_arn" {
  description = "Amazon ECR repository of the image, which the service may pull from; empty for a public registry."
  type        = string
  default     = ""
}

variable "bundle_digest" {
  description = "Digest of the bundle in the image; written into the tags."
  type        = string
  default     = "unknown"
}

variable "architecture" {
  description = "Architecture of the image."
  type        = string
  default     = "X86_64"

  validation {
    condition     = contains(["X86_64", "ARM64"], var.architecture)
    error_message = "architecture is X86_64 or ARM64."
  }
}

# Size

variable "cpus" {
  description = "CPUs of a task: 0.25, 0.5, 1, 2, 4, 8 or 16."
  type        = number
  default     = 1

  validation {
    condition     = contains([0.25, 0.5, 1, 2, 4, 8, 16], var.cpus)
    error_message = "cpus is 0.25, 0.5, 1, 2, 4, 8 or 16."
  }
}

variable "memory_mb" {
  description = "Memory of a task in MB, of those that Fargate has for its CPUs."
  type        = number
  default     = 2048

  validation {
    condition = (
      var.cpus == 0.25 ? contains([512, 1024, 2048], var.memory_mb) :
      var.cpus == 0.5 ? contains([1024, 2048, 3072, 4096], var.memory_mb) :
      var.cpus <= 4 ? var.memory_mb % 1024 == 0 && var.memory_mb >= 2048 * var.cpus && var.memory_mb <= (var.cpus == 4 ? 30720 : 8192 * var.cpus) :
      var.cpus == 8 ? var.memory_mb % 4096 == 0 && var.memory_mb >= 16384 && var.memory_mb <= 61440 :
      var.memory_mb % 8192 == 0 && var.memory_mb >= 32768 && var.memory_mb <= 122880
    )
    error_message = "Fargate has no task of these CPUs with this memory: 1 CPU has 2048 to 8192 MB in steps of 1024, 2 CPUs 4096 to 16384."
  }
}

variable "threads" {
  description = "CPU threads of the graph; 0 takes the task's CPUs, rounded up."
  type        = number
  default     = 0

  validation {
    condition     = var.threads >= 0 && floor(var.threads) == var.threads
    error_message = "threads is 0 or more."
  }
}

variable "min_replicas" {
  description = "Fewest tasks; two or more survive the loss of an availability zone."
  type        = number
  default     = 2

  validation {
    condition     = var.min_replicas >= 1 && var.min_replicas <= var.max_replicas
    error_message = "min_replicas is 1 or more, and not above max_replicas."
  }
}

variable "max_replicas" {
  description = "Most tasks."
  type        = number
  default     = 10
}

variable "cpu_percent" {
  description = "CPU use of the tasks, on average, that autoscaling aims at."
  type        = number
  default     = 60

  validation {
    condition     = var.cpu_percent >= 10 && var.cpu_percent <= 90
    error_message = "cpu_percent is 10 to 90."
  }
}

variable "queue_metric_namespace" {
  description = "CloudWatch namespace to which an agent of yours sends tuneship_queue_depth, with the dimensions ClusterName and ServiceName; empty: the CPU alone scales."
  type        = string
  default     = ""
}

variable "concurrency" {
  description = "Windows that wait in a task, on average, that autoscaling aims at; it needs queue_metric_namespace."
  type        = number
  default     = 16

  validation {
    condition     = var.concurrency >= 1
    error_message = "concurrency is 1 or more."
  }
}

# Settings

variable "timeout_seconds" {
  description = "Longest time of a request in the load balancer; keep TUNESHIP_KEEP_ALIVE_SECONDS (75) above it."
  type        = number
  default     = 60

  validation {
    condition     = var.timeout_seconds >= 1 && var.timeout_seconds <= 4000
    error_message = "timeout_seconds is 1 to 4000."
  }
}

variable "environment" {
  description = "More environment variables: docs/settings.md has those of Tuneship. Secrets do not belong here."
  type        = map(string)
  default     = {}
}

variable "log_retention_days" {
  description = "Days after which log lines are deleted."
  type        = number
  default     = 30
}

variable "tags" {
  description = "Tags of everything that is made."
  type        = map(string)
  default     = {}
}

# Network

variable "vpc_id" {
  description = "Virtual private cloud of the service."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets of the tasks, in two availability zones or more. Tasks get no public address: the image and the logs go by a NAT gateway or VPC endpoints."
  type        = list(string)
}

variable "load_balancer_subnet_ids" {
  description = "Subnets of the load balancer, public ones where it is public; empty: those of the tasks."
  type        = list(string)
  default     = []

  validation {
    condition     = length(var.load_balancer_subnet_ids) > 0 || !var.public
    error_message = "A public load balancer needs load_balancer_subnet_ids, which are public."
  }
}

variable "public" {
  description = "Whether the load balancer has public addresses."
  type        = bool
  default     = false
}

variable "client_cidr_blocks" {
  description = "Addresses that may call the load balancer; empty: those of the virtual private cloud."
  type        = list(string)
  default     = []
}

variable "certificate_arn" {
  description = "Certificate in AWS Certificate Manager for HTTPS; empty: HTTP, for a load balancer that is not public."
  type        = string
  default     = ""

  validation {
    condition     = var.certificate_arn != "" || !var.public
    error_message = "A public load balancer needs certificate_arn."
  }
}

variable "deletion_protection" {
  description = "Whether the load balancer refuses to be deleted."
  type        = bool
  default     = true
}

# Alarms, which also roll a deployment back

variable "error_percent" {
  description = "Percentage of 5xx answers above which an alarm fires."
  type        = number
  default     = 1
}

variable "p99_ms" {
  description = "Answer time in milliseconds of which the 99th percentile fires an alarm."
  type        = number
  default     = 1000
}

variable "alarm_topic_arn" {
  description = "SNS topic that alarms are sent to; empty for none."
  type        = string
  default     = ""
}
