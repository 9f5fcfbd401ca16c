(ns gpdata.recorder
  "Records the runs of a GP system written in Clojure at a `gpdata ingest` service.

  Needs nothing but Clojure (1.9 or newer) and Java 11 or newer: copy this file to src/gpdata/recorder.clj.

    (require '[gpdata.recorder :as gpdata])

    (with-open [run (gpdata/recorder {:server \"https://ingest.lab.org\" :token \"gpdata_...\"
                                      :system \"propeller\" :problem \"simple-regression\"
                                      :config {:parent-selection :lexicase :population-size 500}
                                      :outbox \"outbox\"})]
      (gpdata/generation! run population)
      (gpdata/generation! run population {:outcome :success}))

  `generation!` returns once the generation waits to be sent: in :outbox, where there is one, on the disk. A thread
  sends one generation after the other, in their order, each until the service says that it has it; what was sent
  twice the service knows. `close` waits for that, and says what did not get there, and why."
  (:import (java.io ByteArrayOutputStream Closeable File OutputStream)
           (java.math BigDecimal)
           (java.net URI)
           (java.net.http HttpClient HttpClient$Version HttpRequest HttpRequest$BodyPublishers
                          HttpResponse HttpResponse$BodyHandlers)
           (java.nio ByteBuffer)
           (java.nio.channels FileChannel)
           (java.nio.charset StandardCharsets)
           (java.nio.file CopyOption Files OpenOption StandardCopyOption StandardOpenOption)
           (java.time Duration)
           (java.util UUID)
           (java.util.zip GZIPOutputStream)))

(set! *warn-on-reflection* true)

;; JSON, as Clojush's recorder writes it: NaN and Infinity as texts, ratios as doubles, whole numbers of any length.

(declare write-json)

(defn- write-text [^StringBuilder out ^String text]
  (.append out \")
  (dotimes [i (.length text)]
    (let [c (.charAt text i)]
      (cond
        (= c \") (.append out "\\\"")
        (= c \\) (.append out "\\\\")
        ;; Control characters, and surrogates, which a text may hold without their other half.
        (or (< (int c) 32) (Character/isSurrogate c)) (.append out (format "\\u%04x" (int c)))
        :else (.append out c))))
  (.append out \"))

(defn- name-of [value]
  (if (or (keyword? value) (symbol? value))
    (if-let [space (namespace value)] (str space "/" (name value)) (name value))
    (str value)))

(defn- write-all [^StringBuilder out opening closing write elements]
  (.append out ^String opening)
  (loop [elements (seq elements) first? true]
    (when elements
      (when-not first? (.append out \,))
      (write out (first elements))
      (recur (next elements) false)))
  (.append out ^String closing))

(defn write-json
  "Append the JSON of a value: maps, sequences, sets, texts, numbers, booleans and nil as such, keywords and symbols by
  their names, everything else as its text."
  [^StringBuilder out value]
  (cond
    (nil? value) (.append out "null")
    (or (true? value) (false? value)) (.append out (str value))
    (string? value) (write-text out value)
    (or (integer? value)) (.append out (str (biginteger value)))
    (instance? BigDecimal value) (.append out (str value))
    (number? value) (let [number (double value)]
                      (if (or (Double/isNaN number) (Double/isInfinite number))
                        (write-text out (str number))
                        (.append out (str number))))
    (map? value) (write-all out "{" "}"
                            (fn [^StringBuilder out [k v]]
                              (write-text out (name-of k))
                              (.append out \:)
                              (write-json out v))
                            value)
    (or (sequential? value) (set? value)) (write-all out "[" "]" write-json value)
    (and (some? value) (.isArray (class value))) (write-all out "[" "]" write-json (seq value))
    :else (write-text out (name-of value))))

(defn json
  "The JSON text of a value."
  ^String [value]
  (let [out (StringBuilder.)] (write-json out value) (str out)))

;; A line: one generation, as the wire has it.

(defn- total [errors]
  (when (and (sequential? errors) (every? number? errors)) (reduce + 0 errors)))

(defn- complete [individual]
  (when-not (map? individual)
    (throw (IllegalArgumentException.
             (str "an individual is " (pr-str (class individual)) "; valid is a map such as {:errors [0 1]}: "
                  "give the recorder :describe, a function of an individual to such a map"))))
  (cond-> individual
    (nil? (:uuid individual)) (assoc :uuid (str (UUID/randomUUID)))
    (and (nil? (:total-error individual)) (total (:errors individual)))
    (assoc :total-error (total (:errors individual)))))

(defn- best-of [population]
  (when-let [scored (seq (filter #(and (number? (:total-error %)) (not (Double/isNaN (double (:total-error %)))))
                                 population))]
    (reduce #(if (< (:total-error %2) (:total-error %1)) %2 %1) scored)))

(defn- best-section [best]
  (when best
    (let [errors (:errors best) genome (:genome best)]
      (cond-> {:individual best}
        (and (seq errors) (total errors)) (assoc :mean-error (/ (double (total errors)) (count errors)))
        (sequential? genome) (assoc :genome-size (count genome))
        (:program-size best) (assoc :program-size (:program-size best))))))

(defn- line-of [{:keys [run-uuid config describe]} index population {:keys [outcome best report started]}]
  (let [given population
        population (mapv (comp complete describe) given)
        same (when best (first (keep-indexed #(when (identical? %2 best) %1) given)))
        best (cond same (nth population same)
                   best (complete (describe best))
                   :else (best-of population))]
    (json (cond-> {:config-uuid run-uuid :index index :outcome outcome :start-time started
                   :config config :population population}
            best (assoc :best (best-section best))
            report (assoc :population-report report)))))

;; Sending.

(def ^:private first-wait 500)
(def ^:private most-wait 60000)

(defn- gzip ^bytes [^bytes data]
  (let [out (ByteArrayOutputStream.)]
    (with-open [zip (GZIPOutputStream. out)] (.write ^OutputStream zip data))
    (.toByteArray out)))

(defn- found [pattern text] (second (re-find pattern (or text ""))))

(defn- judge
  "What an answer means for the one line that was sent: :stored, :duplicate, :refused or :again."
  [status text]
  (let [code (or (found #"\"code\":\"([a-z_]+)\"" text) (found #"\"error\":\"([a-z_]+)\"" text))
        detail (found #"\"detail\":\"((?:[^\"\\]|\\.)*)\"" text)
        result (found #"\"result\":\"([a-z]+)\"" text)]
    (cond
      (and (= status 200) (= result "duplicate")) {:result :duplicate}
      (and (= status 200) (= result "stored") (nil? code)) {:result :stored}
      ;; The service keeps a line that differs from the one it has, in its quarantine.
      (and (= status 200) (= result "stored")) {:result :refused :code code :detail detail}
      (and (#{200 403 413 422} status) (= result "refused")) {:result :refused :code code :detail detail}
      (and (#{400 413 415} status) code (nil? result)) {:result :refused :code code :detail detail}
      code {:result :again :code code :detail (str "the service answers " status " " code ": " detail)}
      :else {:result :again :detail (str "something answers " status ", but not as gpdata ingest does")})))

(defn- post! [{:keys [^HttpClient http ^URI address token]} ^bytes line]
  (try
    (let [request (-> (HttpRequest/newBuilder address)
                      (.timeout (Duration/ofSeconds 120))
                      (.header "Authorization" (str "Bearer " (if (fn? token) (token) token)))
                      (.header "Content-Encoding" "gzip")
                      (.POST (HttpRequest$BodyPublishers/ofByteArray (gzip line)))
                      (.build))
          ^HttpResponse response (.send http request (HttpResponse$BodyHandlers/ofString StandardCharsets/UTF_8))
          after (.orElse (.firstValue (.headers response) "Retry-After") "0")]
      (assoc (judge (.statusCode response) (.body response))
             :after (if (re-matches #"\d{1,4}" after) (* 1000 (Long/parseLong after)) 0)))
    (catch java.io.IOException error
      {:result :again :after 0 :detail (str "no answer (" (or (.getMessage error) (.getSimpleName (class error))) ")")})))

(defn- bytes-of ^bytes [{:keys [line ^File file]}]
  (or line (Files/readAllBytes (.toPath file))))

(defn- pause! [{:keys [lock state]} millis]
  (let [until (+ (System/currentTimeMillis) (long millis))]
    (locking lock
      (loop []
        (let [left (- until (System/currentTimeMillis))]
          (when (and (pos? left) (not (:stopped @state)))
            (.wait ^Object lock left)
            (recur)))))))

(defn- settle! [{:keys [lock state say]} item {:keys [result code detail]}]
  (when-let [^File file (:file item)]
    (if (= result :refused)
      (.renameTo file (File. (str file ".refused")))
      (.delete file)))
  (locking lock
    (swap! state (fn [s]
                   (cond-> (-> s (update :queue pop) (update :bytes - (:size item)) (assoc :error nil))
                     (= result :refused) (update :refused conj (merge (select-keys item [:run-uuid :generation :file])
                                                                      {:code code :detail detail}))
                     (not= result :refused) (update result inc))))
    (.notifyAll ^Object lock))
  (when (= result :refused)
    (say (str "generation " (:generation item) " of run " (:run-uuid item) " was not taken: " code ", " detail))))

(defn- send-all! [{:keys [lock state say] :as run}]
  (loop [failures 0]
    (let [item (locking lock
                 (while (and (empty? (:queue @state)) (not (:stopped @state)))
                   (.wait ^Object lock))
                 (when-not (:stopped @state) (peek (:queue @state))))]
      (when item
        (let [{:keys [result detail after] :as answer}
              (try (post! run (bytes-of item))
                   (catch java.nio.file.NoSuchFileException _ {:result :duplicate})) ; another process sent it
              again? (= result :again)]
          (if again?
            (do (when (not= detail (:error @state))
                  (swap! state assoc :error detail)
                  (say (str detail "; " (count (:queue @state)) " generations wait and are sent again")))
                (pause! run (max after (* (min most-wait (* first-wait (bit-shift-left 1 (min failures 7))))
                                          (+ 0.5 (rand 0.5))))))
            (settle! run item answer))
          (recur (if again? (inc failures) 0)))))))

(defn- keep!
  "Write a line into the outbox, durably: its bytes, then its name."
  ^File [^File outbox run-uuid index ^bytes line]
  (let [name (format "%020d-%s-%d.json" (* 1000000 (System/currentTimeMillis)) (UUID/randomUUID) index)
        unfinished (File. outbox (str name ".tmp"))
        file (File. outbox name)
        open (fn [^File path & options] (FileChannel/open (.toPath path) (into-array OpenOption options)))]
    (with-open [^FileChannel channel (open unfinished StandardOpenOption/CREATE_NEW StandardOpenOption/WRITE)]
      (let [buffer (ByteBuffer/wrap line)]
        (while (.hasRemaining buffer) (.write channel buffer)))
      (.force channel true))
    (Files/move (.toPath unfinished) (.toPath file)
                (into-array CopyOption [StandardCopyOption/ATOMIC_MOVE]))
    (with-open [^FileChannel directory (open outbox StandardOpenOption/READ)]
      (.force directory true))
    file))

(defn- left-over [^File outbox]
  (for [^File file (sort (.listFiles outbox)) :when (.endsWith (.getName file) ".json")]
    {:file file :size 0 :run-uuid "of an earlier process" :generation (found #"-(\d+)\.json$" (.getName file))}))

(defn- checked-address ^URI [server]
  (let [uri (URI. (str (.replaceAll (str server) "/+$" "") "/v1/generations"))
        host (.getHost uri)]
    (when-not (and (#{"http" "https"} (.getScheme uri)) host)
      (throw (IllegalArgumentException. (str ":server is " (pr-str server) "; valid is https://HOST[:PORT]"))))
    (when (and (= "http" (.getScheme uri)) (not (re-matches #"(?i)localhost|127(\.\d{1,3}){3}|\[::1\]" host)))
      (throw (IllegalArgumentException.
               (str ":server is " (pr-str server) ", which would send the token readable for all on the way; "
                    "valid is https://" host ", and http:// to this machine only"))))
    uri))

(defrecord Recorder [run-uuid config describe lock state say address token http outbox most-bytes close-seconds thread]
  Closeable
  (close [run]
    (let [until (+ (System/currentTimeMillis) (* 1000 (long close-seconds)))]
      (locking lock
        (loop []
          (let [left (- until (System/currentTimeMillis))]
            (when (and (pos? left) (seq (:queue @state)))
              (.wait ^Object lock left)
              (recur))))
        (swap! state assoc :stopped true)
        (.notifyAll ^Object lock))
      (when-let [waiting (seq (:queue @state))]
        (say (str (count waiting) " generations have not reached the service"
                  (when-let [error (:error @state)] (str " (" error ")"))
                  (if outbox
                    (str "; they are safe in " outbox ": the next recorder with that :outbox sends them")
                    "; they are lost when this process ends: give the recorder an :outbox, or close it later")))))))

(defmethod print-method Recorder [run ^java.io.Writer out] ; the token is not shown
  (.write out (str "#<gpdata.recorder " (:run-uuid run) ">")))

(defn recorder
  "Begin to record a run. Close what this returns, best with `with-open`.

  :server         the service's address; GPDATA_SERVER where it is left out
  :token          who records, or a function that gives it; GPDATA_TOKEN where it is left out
  :system         the GP system
  :problem        the problem
  :config         every argument of the run, under the names that analyses will group by
  :label          a researcher's word for the run
  :run-uuid       the run's key; a random one where it is left out (in a sweep: GPDATA_RUN_UUID)
  :version        of the GP system
  :describe       a function of an individual to a map of what is recorded: :uuid, :parent-uuids (nil for a random
                  individual), :genetic-operators, :errors, :total-error, :genome, :program, ...
  :outbox         a directory where generations wait on the disk; in memory where it is left out
  :most-bytes     of generations that wait in memory; `generation!` waits beyond (256 MB)
  :close-seconds  for which `close` waits until the service has everything (60)
  :say            a function of a text: what went wrong, for people (standard error)"
  [{:keys [server token system problem config label run-uuid version describe outbox most-bytes close-seconds say]
    :or {describe identity most-bytes 256000000 close-seconds 60
         say (fn [text] (binding [*out* *err*] (println (str "gpdata: " text)) (flush)))}}]
  (let [server (or server (System/getenv "GPDATA_SERVER"))
        token (or token (System/getenv "GPDATA_TOKEN"))
        outbox (when outbox (File. (str outbox)))]
    (doseq [[what value] {":system" system ":server (or GPDATA_SERVER)" server ":token (or GPDATA_TOKEN)" token}]
      (when (or (nil? value) (= "" value))
        (throw (IllegalArgumentException. (str what " is missing; see (doc gpdata.recorder/recorder)")))))
    (when outbox (.mkdirs ^File outbox))
    (let [started (/ (System/currentTimeMillis) 1000.0)
          left (when outbox (left-over outbox))
          run (map->Recorder
                {:run-uuid (str (or run-uuid (UUID/randomUUID)))
                 :config (cond-> {:system (name-of system) :start-time started
                                  :argmap (cond-> (or config {}) label (assoc :label label))}
                           problem (assoc :problem-file (name-of problem))
                           version (assoc :version-number version))
                 :describe describe :lock (Object.) :say say :address (checked-address server) :token token
                 :outbox outbox :most-bytes most-bytes :close-seconds close-seconds
                 :http (-> (HttpClient/newBuilder) (.version HttpClient$Version/HTTP_1_1)
                           (.connectTimeout (Duration/ofSeconds 10)) (.build))
                 :state (atom {:queue (into clojure.lang.PersistentQueue/EMPTY left) :bytes 0 :next 0 :started started
                               :stored 0 :duplicate 0 :refused [] :error nil :over nil :stopped false})})]
      (assoc run :thread (doto (Thread. ^Runnable #(send-all! run) "gpdata-send") (.setDaemon true) (.start))))))

(defn generation!
  "Record one generation; returns once it waits to be sent.

  The population is a sequence of individuals in the order of their locations. Options:
  :outcome  :continue (also where it is left out), :success or :failure
  :best     the individual that the system calls best; that of least total error where it is left out
  :report   the system's own statistics: a map of names to numbers
  :index    the generation, from 0; one more than the last where it is left out"
  ([run population] (generation! run population {}))
  ([{:keys [lock state outbox most-bytes run-uuid] :as run} population options]
   (let [outcome (name-of (:outcome options :continue))
         {:keys [next over stopped started]} @state
         index (:index options next)]
     (when-not (#{"continue" "success" "failure"} outcome)
       (throw (IllegalArgumentException. (str ":outcome is " outcome "; valid are :continue, :success and :failure"))))
     (when (or stopped (= over "failure") (and (= over "success") (not= outcome "success")))
       (throw (IllegalStateException. (str "run " run-uuid " is " (if stopped "closed" (str "over (" over ")"))
                                           "; begin another recorder for another run"))))
     (when-not (and (integer? index) (<= next index))
       (throw (IllegalArgumentException. (str ":index is " index "; valid is a whole number from " next))))
     (when (empty? population)
       (throw (IllegalArgumentException. "the population is empty; valid is one individual or more")))
     (let [line (.getBytes ^String (line-of run index population (assoc options :outcome outcome :started started))
                           StandardCharsets/UTF_8)
           item (if outbox
                  {:file (keep! outbox run-uuid index line) :size 0}
                  {:line line :size (alength line)})]
       (locking lock
         (while (and (not outbox) (pos? (:bytes @state)) (> (+ (:bytes @state) (alength line)) most-bytes))
           (.wait ^Object lock))
         (swap! state (fn [s] (-> s
                                  (update :queue conj (assoc item :run-uuid run-uuid :generation index))
                                  (update :bytes + (:size item))
                                  (assoc :next (inc index) :started (/ (System/currentTimeMillis) 1000.0)
                                         :over (when (not= outcome "continue") outcome)))))
         (.notifyAll ^Object lock))
       nil))))

(defn status
  "What became of the generations: :stored and :duplicate count what the service has, :waiting what has no answer yet,
  :refused lists what it will never take, with :code and :detail, and :error says why nothing is taken now."
  [run]
  (let [{:keys [queue stored duplicate refused error]} @(:state run)]
    {:stored stored :duplicate duplicate :waiting (count queue) :refused refused :error error}))
