#!/usr/bin/env bash
# LocalStack runs this once it is ready: the bucket that the README's examples use.
set -euo pipefail
bucket=${ASSETSTORE_BUCKET:-assets}
awslocal s3api head-bucket --bucket "$bucket" 2>/dev/null || awslocal s3api create-bucket --bucket "$bucket"
