#!/usr/bin/env bash
# Spark's preStop hook for executors (spark.decommission.enabled): tell the executor to hand its blocks on, and hold the
# pod until it has ended. PID 1 is tini, which passes the signal on; the pod's grace period limits the wait.
set -euo pipefail
echo "decommissioning: the executor was told to hand on its blocks"
kill -s PWR 1
while kill -s 0 1 2>/dev/null; do
    sleep 1
done
