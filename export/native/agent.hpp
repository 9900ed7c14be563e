// What the runner does for each request: at most one session, and the requests that it cycles through.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "energy.hpp"
#include "npz.hpp"
#include "profile.hpp"
#include "series.hpp"
#include "sha256.hpp"
#include "simulation.hpp"

namespace edgesft {

/// Version of the protocol (export/PROTOCOL.md).
constexpr int PROTOCOL = 1;

/// Entry of a model's metadata that tells which of its axes were free before.
constexpr const char* FIXED = "edgesft.fixed";

class Agent {
  public:
    /// An agent without a model; the runtime's library is opened when it is first needed.
    explicit Agent(std::string library) : library_(std::move(library)) {}

    Json::Map info(const Fields&) {
        const Runtime& ort = runtime();
        return {
            {"protocol", PROTOCOL},
            {"runtime", ort.version},
            {"build", ort->GetBuildInfoString()},
            {"providers", ort.providers()},
            {"broken", Json::Map()},  // plugins are for runtimes with a Python package
            {"plugins", Json::Map()},
            {"machine", machine()},
            {"runtime_bytes", ort.bytes()},
        };
    }

    Json::Map state(const Fields&) { return conditions(); }

    /// Drops files from the system's cache, where it lets programs do that; pages that are not yet on the disk stay.
    Json::Map evict(const Fields& fields) {
#ifndef POSIX_FADV_DONTNEED
        static_cast<void>(fields);
        return {{"evicted", false}};
#else
        for (const std::string& path : fields.words("files")) {
            int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
            if (file < 0) throw Refusal("files must be ones that can be read, got " + path);
            posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
            close(file);
        }
        return {{"evicted", true}};
#endif
    }

    /// Creates the session in place of the one before; requests stay.
    Json::Map load(const Fields& fields) {
        Origin origin = origin_of(fields);
        const Runtime& ort = runtime();
        Options options = options_of(ort, origin);
        std::int64_t baseline = peak_bytes(), began = now_ns();
        auto session = std::make_shared<Session>(ort, origin, std::move(options));
        std::int64_t load_ns = now_ns() - began;
        session->describe();
        baseline_bytes_ = baseline;
        states_.clear();
        others_.clear();
        session_ = std::move(session);
        Json::List inputs, outputs;
        for (const Port& port : session_->inputs) inputs.push_back(port.json());
        for (const Port& port : session_->outputs) outputs.push_back(port.json());
        return {
            {"load_ns", load_ns},
            {"provider", origin.asked()},
            {"threads", origin.threads},
            {"io", "host"},
            // What took which node is in no function of this version of the C API; `profile` tells.
            {"placement", nullptr},
            {"partitions", nullptr},
            {"left", nullptr},
            {"simulated", simulation(origin.asked())},
            {"fixed", session_->metadata(FIXED)},
            {"inputs", inputs},
            {"outputs", outputs},
        };
    }

    Json::Map model(const Fields&) {
        const std::string& path = loaded().origin.model;
        auto [size, digest] = sha256_of(path);
        return {{"name", fs::path(path).filename().string()}, {"bytes", size}, {"sha256", digest}};
    }

    /// Which output becomes which input of the next inference.
    Json::Map feedback(const Fields& fields) {
        const Session& session = loaded();
        Texts states = fields.texts("states");
        std::string unknown;
        Json::Map told;
        for (const auto& [input, output] : states) {
            bool known = has(session.inputs, input) && has(session.outputs, output);
            if (!known) unknown += (unknown.empty() ? "" : ", ") + input + "=" + output;
            told.emplace_back(input, output);
        }
        if (!unknown.empty()) throw Refusal("states must map inputs to outputs of the model, got " + unknown);
        states_ = std::move(states);
        return {{"count", states_.size()}, {"states", told}};
    }

    Json::Map request(const Fields& fields) {
        requests_.push_back(feeds_of(arrays_of(fields)));
        return {{"count", requests_.size()}};
    }

    /// Takes these requests in place of those there are.
    void take(const std::vector<Arrays>& requests) {
        requests_.clear();
        for (const Arrays& arrays : requests) requests_.push_back(feeds_of(arrays));
    }

    std::size_t held() const { return requests_.size(); }

    /// What is loaded; it must not outlive this.
    std::shared_ptr<const Session> session() const { return session_; }

    /// One inference of the middle request.
    Json::Map first(const Fields&) { return {{"ns", timed(1, {middle()})[0]}}; }

    Json::Map warm_up(const Fields& fields) {
        auto take = [&](std::int64_t count) { return timed(count, spread(count)); };
        Warmth found = edgesft::warm_up(take, fields.number("seconds"));
        return {{"samples", found.samples}, {"stable", found.stable}, {"typical_ns", found.typical_ns}};
    }

    Json::Map time(const Fields& fields) {
        Order order = ordered(fields, 0);
        Caller call(loaded(), states_);
        auto before = energy_counters();
        Numbers samples = one_by_one(call, order);
        return {{"ns", samples}, {"energy_uj", energy_between(before, energy_counters())}};
    }

    Json::Map paced(const Fields& fields) {
        Order order = ordered(fields, 0);
        std::int64_t interval_ns = fields.whole("interval_ns", 0);
        Caller call(loaded(), states_);
        auto before = energy_counters();
        Paced found = edgesft::paced(call, order, interval_ns);
        Json energy = energy_between(before, energy_counters());
        return {{"ns", found.waited}, {"service_ns", found.served}, {"energy_uj", energy}};
    }

    Json::Map flight(const Fields& fields) {
        Order order = ordered(fields, 1);
        auto streams = static_cast<std::size_t>(fields.whole("streams", 1));
        while (others_.size() + 1 < streams) others_.push_back(another());
        std::vector<std::unique_ptr<Caller>> callers;
        for (std::size_t stream = 0; stream < streams; ++stream) {
            callers.push_back(std::make_unique<Caller>(stream ? *others_[stream - 1] : loaded(), states_));
        }
        auto before = energy_counters();
        Flight found = edgesft::flight(callers, order);
        Json energy = energy_between(before, energy_counters());
        return {{"ns", found.samples}, {"wall_ns", found.wall_ns}, {"how", "sessions"}, {"energy_uj", energy}};
    }

    Json::Map run(const Fields& fields) {
        const Session& session = loaded();
        std::vector<Value> values = session.run(feeds_of(arrays_of(fields)));
        Json::Map outputs;
        for (std::size_t index = 0; index < values.size(); ++index) {
            const std::string& name = session.outputs[index].name;
            outputs.emplace_back(name, json_of(array_of(runtime(), name, values[index].get())));
        }
        return {{"outputs", outputs}};
    }

    /// Where the time goes, on a second session under the runtime's own profiler.
    Json::Map profile(const Fields& fields) {
        std::int64_t count = fields.whole("count", 1);
        Order order = ordered(count, spread(std::numeric_limits<std::int64_t>::max()));
        TemporaryFolder folder;
        Options options = options_of(runtime(), loaded().origin);
        runtime().check(runtime()->EnableProfiling(options.get(), (folder.path + "/profile").c_str()));
        std::unique_ptr<Session> session = another(std::move(options));
        Caller call(*session, states_);
        for (int lead = 0; lead < PROFILE_LEAD_IN; ++lead) call(order[0]);
        one_by_one(call, order);
        char* file = nullptr;
        runtime().check(runtime()->SessionEndProfiling(session->get(), runtime().allocator, &file));
        return summarised(events_in(runtime().taken(file)), static_cast<std::size_t>(count));
    }

    Json::Map memory(const Fields&) { return {{"peak_bytes", peak_bytes()}, {"baseline_bytes", baseline_bytes_}}; }

    Json::Map quit(const Fields&) { return {}; }

  private:
    const Runtime& runtime() {
        if (!runtime_) runtime_ = std::make_unique<Runtime>(library_);
        return *runtime_;
    }

    const Session& loaded() const {
        if (!session_) throw Refusal("no model is loaded: send `load` first");
        return *session_;
    }

    static bool has(const std::vector<Port>& ports, const std::string& name) {
        return std::any_of(ports.begin(), ports.end(), [&](const Port& port) { return port.name == name; });
    }

    static Origin origin_of(const Fields& fields) {
        Origin origin;
        origin.model = fields.text("model");
        std::error_code error;
        if (!fs::is_regular_file(origin.model, error)) throw Refusal("model must be a file, got " + origin.model);
        for (const Json& each : fields.list("providers")) {
            Fields provider("providers", each);
            origin.providers.push_back({provider.text("name"), provider.texts("options")});
        }
        if (origin.providers.empty()) throw Refusal("providers must have at least one, got []");
        origin.threads = fields.whole("threads", 0);
        if (origin.threads > std::numeric_limits<int>::max()) throw Refusal("threads must be fewer");
        if (fields.given("optimisation")) origin.optimisation = fields.text("optimisation");
        if (fields.given("io") && fields.text("io") != "host") {
            throw Refusal("io must be host, for this runner has no device IO, got " + fields.text("io"));
        }
        for (const auto& [name, value] : origin.providers.front().options) {
            bool on = value == "1" || value == "true" || value == "True";
            if (on && std::find(std::begin(GRAPHS), std::end(GRAPHS), name) != std::end(GRAPHS)) {
                throw Refusal("a graph needs inputs and outputs in one place of the device's memory, and this runner has "
                              "no device IO; leave " + name + " out");
            }
        }
        fields.flag("allow_cpu");  // nothing follows from it where nothing is known of the nodes
        origin.config = fields.texts("config");
        return origin;
    }

    /// A session like the loaded one.
    std::unique_ptr<Session> another(std::optional<Options> options = std::nullopt) {
        const Origin& origin = loaded().origin;
        auto session = std::make_unique<Session>(
            runtime(), origin, options ? std::move(*options) : options_of(runtime(), origin));
        session->describe();
        return session;
    }

    static Arrays arrays_of(const Fields& fields) {
        Fields feeds = fields.object("feeds");
        Arrays arrays;
        for (const auto& [name, array] : feeds.members()) arrays.emplace_back(name, array_of(name, array));
        return arrays;
    }

    Feeds feeds_of(const Arrays& arrays) {
        Feeds feeds;
        for (const auto& [name, array] : arrays) feeds.push_back({name, tensor_of(runtime(), array), array.shape});
        return feeds;
    }

    std::int64_t middle() const { return static_cast<std::int64_t>(held() / 2); }

    /// At most so many requests, spread evenly over all.
    Numbers spread(std::int64_t count) const {
        auto all = static_cast<std::int64_t>(held());
        count = std::min(count, all);
        Numbers picks;
        for (std::int64_t index = 0; index < count; ++index) picks.push_back(index * all / count);
        return picks;
    }

    Order ordered(const Fields& fields, std::int64_t least) const {
        return ordered(fields.whole("count", least), fields.wholes("picks"));
    }

    Order ordered(std::int64_t count, const Numbers& picks) const {
        loaded();
        if (!held()) throw Refusal("there is no request to time: send `request` first");
        bool known = !picks.empty();
        for (std::int64_t pick : picks) known = known && pick >= 0 && pick < static_cast<std::int64_t>(held());
        if (!known) {
            std::string wanted = "picks must be numbers of the " + std::to_string(held()) + " requests";
            throw Refusal(wanted + ", got " + Json(picks).text());
        }
        Order order{requests_, {}};
        for (std::int64_t index = 0; index < count; ++index) {
            order.turns.push_back(picks[static_cast<std::size_t>(index) % picks.size()]);
        }
        return order;
    }

    Numbers timed(std::int64_t count, const Numbers& picks) {
        Order order = ordered(count, picks);
        Caller call(loaded(), states_);
        return one_by_one(call, order);
    }

    std::string library_;
    // The runtime comes first, for all below give back to it what they have.
    std::unique_ptr<Runtime> runtime_;
    std::shared_ptr<Session> session_;
    std::vector<std::unique_ptr<Session>> others_;
    Texts states_;
    std::vector<Feeds> requests_;
    std::optional<std::int64_t> baseline_bytes_;
};

}  // namespace edgesft
