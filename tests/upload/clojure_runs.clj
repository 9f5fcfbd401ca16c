;; What tests/upload/test_clojure.py runs: a command, and what it is about.
(ns clojure-runs
  (:require [clojure.edn :as edn]
            [gpdata.recorder :as gpdata]))

(defn- individual [generation location]
  {:uuid (str "g" generation "-" location)
   :parent-uuids (when (pos? generation) [(str "g" (dec generation) "-" location)])
   :genetic-operators (if (pos? generation) [:umad] :random)
   :errors [(* 1.0 location) (rem (* 7 generation) 5)]
   :genome [:integer_add {:instruction 'exec_if :close 1} 5 2.5 true "text \u00e9 \ud83d\ude00 \"\\\n\u0000"]})

(defn- evolve [{:keys [run generations size pause close-seconds outbox hang]}]
  (let [recorder (gpdata/recorder (cond-> {:system "propeller" :problem :odd :label "clojure" :run-uuid run
                                           :config {:parent-selection :lexicase :population-size size :rate 1/4}}
                                    outbox (assoc :outbox outbox)
                                    close-seconds (assoc :close-seconds close-seconds)))]
    (with-open [^java.io.Closeable recorder recorder]
      (dotimes [generation generations]
        (gpdata/generation! recorder (map #(individual generation %) (range size))
                            {:outcome (if (= generation (dec generations)) :failure :continue)
                             :report {:mean-age (/ generation 2)}})
        (println "generation" generation)
        (flush)
        (Thread/sleep (long (or pause 0))))
      (when hang (Thread/sleep 600000)))
    (prn (update (gpdata/status recorder) :refused (partial mapv #(dissoc % :file))))))

(let [[command argument] *command-line-args*]
  (case command
    "evolve" (evolve (edn/read-string argument))
    "json" (doseq [value (edn/read-string argument)] (println (gpdata/json value)))
    "eval" (doseq [form (read-string argument)]
             (try (prn (eval form))
                  (catch Throwable error (println (.getMessage ^Throwable (or (.getCause error) error)))))))
  (shutdown-agents))
