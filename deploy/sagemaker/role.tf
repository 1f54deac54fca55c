# What the role may do is what SageMaker does before the container starts, and its log; the container calls nobody.

data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

locals {
  images       = [for model in values(local.models) : regex("^(?P<account>[0-9]+)\\.dkr\\.ecr\\.(?P<region>[a-z0-9-]+)\\.[^/]+/(?P<name>[^@]+)@", model.image)]
  repositories = [for each in local.images : "arn:${data.aws_partition.this.partition}:ecr:${each.region}:${each.account}:repository/${each.name}"]
  archives     = [for model in values(local.models) : "arn:${data.aws_partition.this.partition}:s3:::${trimprefix(model.model_data_url, "s3://")}" if model.model_data_url != ""]
}

resource "aws_iam_role" "this" {
  name               = "${var.name}-sagemaker"
  description        = "Endpoint ${var.name}: reads its image and its bundle, writes its log."
  assume_role_policy = data.aws_iam_policy_document.trust.json
  tags               = local.tags
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["sagemaker.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.this.account_id]
    }
  }
}

data "aws_iam_policy_document" "this" {
  statement {
    sid       = "Image"
    actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    resources = distinct(local.repositories)
  }

  # ECR knows this action for no single repository.
  statement {
    sid       = "Registry"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"]
  }

  dynamic "statement" {
    for_each = length(local.archives) == 0 ? [] : [distinct(local.archives)]

    content {
      sid       = "Bundle"
      actions   = ["s3:GetObject"]
      resources = statement.value
    }
  }

  statement {
    sid       = "Log"
    actions   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.this.arn}:*"]
  }

  # CloudWatch and EC2 know these actions for no single resource.
  statement {
    sid       = "Metrics"
    actions   = ["cloudwatch:PutMetricData"]
    resources = ["*"]

    condition {
      test     = "StringLike"
      variable = "cloudwatch:namespace"
      values   = ["/aws/sagemaker/*", "AWS/SageMaker"]
    }
  }

  dynamic "statement" {
    for_each = length(var.subnet_ids) == 0 ? [] : ["Network"]

    content {
      sid = statement.value
      actions = [
        "ec2:CreateNetworkInterface", "ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface",
        "ec2:DeleteNetworkInterfacePermission", "ec2:DescribeDhcpOptions", "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs",
      ]
      resources = ["*"]
    }
  }
}

resource "aws_iam_role_policy" "this" {
  name   = "endpoint"
  role   = aws_iam_role.this.id
  policy = data.aws_iam_policy_document.this.json
}
