#!/usr/bin/env bash
# What Spark on Kubernetes starts in a pod: `executor`, `driver ARGUMENTS...`, or any other command as it is.
# pip's pyspark brings no entrypoint. The names of the variables are Spark's (BasicExecutorFeatureStep and others).
set -euo pipefail

# A mounted configuration first, then Spark's own jars, then what the site adds.
classpath="${SPARK_CONF_DIR:-$SPARK_HOME/conf}:${SPARK_CLASSPATH:+$SPARK_CLASSPATH:}$SPARK_HOME/jars/*"
classpath+="${SPARK_EXTRA_CLASSPATH:+:$SPARK_EXTRA_CLASSPATH}${SPARK_DIST_CLASSPATH:+:$SPARK_DIST_CLASSPATH}"

case "${1:-}" in
executor)
    missing=()
    for name in SPARK_DRIVER_URL SPARK_EXECUTOR_ID SPARK_EXECUTOR_CORES SPARK_EXECUTOR_MEMORY SPARK_APPLICATION_ID \
        SPARK_EXECUTOR_POD_IP SPARK_EXECUTOR_POD_NAME; do
        [ -n "${!name:-}" ] || missing+=("$name")
    done
    if [ "${#missing[@]}" -gt 0 ]; then
        echo "executor: ${missing[*]} not set; Spark sets them in the pods that it starts. To use this image, name it in" \
            "spark.kubernetes.executor.container.image of a driver with a k8s:// master." >&2
        exit 2
    fi
    # SPARK_JAVA_OPT_0, SPARK_JAVA_OPT_1, ...: an option each, in the order of their numbers.
    options=()
    for ((number = 0; ; number++)); do
        name="SPARK_JAVA_OPT_$number"
        [ -n "${!name+set}" ] || break
        options+=("${!name}")
    done
    exec "$JAVA_HOME/bin/java" "${options[@]}" "-Xms$SPARK_EXECUTOR_MEMORY" "-Xmx$SPARK_EXECUTOR_MEMORY" \
        -cp "$classpath" org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend \
        --driver-url "$SPARK_DRIVER_URL" \
        --executor-id "$SPARK_EXECUTOR_ID" \
        --cores "$SPARK_EXECUTOR_CORES" \
        --app-id "$SPARK_APPLICATION_ID" \
        --hostname "$SPARK_EXECUTOR_POD_IP" \
        --resourceProfileId "${SPARK_RESOURCE_PROFILE_ID:-0}" \
        --podName "$SPARK_EXECUTOR_POD_NAME"
    ;;
driver)
    shift
    bind=()
    [ -z "${SPARK_DRIVER_BIND_ADDRESS:-}" ] || bind=(--conf "spark.driver.bindAddress=$SPARK_DRIVER_BIND_ADDRESS")
    exec "$SPARK_HOME/bin/spark-submit" "${bind[@]}" --deploy-mode client "$@"
    ;;
"")
    echo "nothing to run; say executor, driver or a command" >&2
    exit 2
    ;;
*)
    exec "$@"
    ;;
esac
