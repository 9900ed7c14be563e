// The application: a bundle that answers rows.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "decode.hpp"
#include "golden.hpp"
#include "measuring.hpp"

namespace edgesft {

class Kit {
  public:
    /// Opens a bundle that is whole, and loads the model that this device takes.
    ///
    /// Args:
    ///     path: Folder or archive.
    ///     library: ONNX Runtime's.
    ///     providers: That may run the model, the best first, each a name or `NAME:option=value,…`; without any, all that
    ///         the runtime has of its own.
    ///     threads: Of an inference.
    Kit(const std::string& path, const std::string& library, std::vector<std::string> providers, std::int64_t threads)
        : bundle_(path), library_(library), threads_(threads) {
        bundle_.check();
        try {
            runtime_ = std::make_unique<Runtime>(library);
        } catch (const Refusal& error) {
            throw Unavailable(error.what());
        }
        std::vector<std::string> there = runtime_->providers();
        utsname system{};
        uname(&system);
        device_ = {{}, runtime_->version, system.machine, memory_free()};
        for (const std::string& text : providers) {
            if (!add_provider(device_, text)) throw BadInput("provider must be NAME or NAME:option=value,…, got " + text);
            std::string name = device_.providers.back();
            if (!has(there, name)) throw Unavailable("provider must be one that the runtime has, got " + name);
        }
        // It sends what it is asked to a server: no device has it of its own.
        there.erase(std::remove(there.begin(), there.end(), "AzureExecutionProvider"), there.end());
        if (providers.empty()) device_.providers = there;
        load();
        try {
            prepare_ = std::make_unique<Preparation>(bundle_);
            if (!writes()) decode_ = std::make_unique<Decoding>(bundle_);
            else words_ = std::make_shared<Detokenizer>(bundle_.json(contract().object("preparation").text("tokenizer")));
            writer_ = writer_of(model_->sessions);
        } catch (const Unavailable&) {
            throw;
        } catch (const Refusal& error) {
            throw Broken(error.what());
        }
    }

    Kit(const Kit&) = delete;  // what it prepares with looks into its bundle
    Kit& operator=(const Kit&) = delete;

    /// Whether the model answers token by token.
    bool writes() const { return contract().object("decoding").text("kind") == "generation"; }

    /// What a model that answers token by token says to a raw row; see `Writer::say`.
    ///
    /// Throws BadInput where it cannot be read, or the model does not answer so.
    Said say(const Row& row, std::int64_t most, const Sampling& how, const Told& told) const {
        if (!writer_) {
            throw BadInput("a bundle must answer token by token to be asked so, got one that gives " +
                           contract().object("decoding").text("kind"));
        }
        return writer_->say(prompt_of((*prepare_)(row).requests.at(0).feeds), most, how, told);
    }

    /// The answer to a raw row. Throws BadInput where it cannot be read.
    Answer answer(const Row& row) {
        if (writer_) {
            Said said = say(row, MOST, {}, [](const std::string&) { return true; });
            return {Json::Map{{"text", said.text}, {"end", said.end}, {"tokens", said.tokens.size()}}, {}, 0};
        }
        Prepared prepared = (*prepare_)(row);
        std::vector<Arrays> outputs;
        Arrays states = zeros();
        for (const Request& request : prepared.requests) {
            Arrays feeds = request.feeds;
            feeds.insert(feeds.end(), states.begin(), states.end());
            outputs.push_back((*model_)(feeds));
            for (auto& [name, value] : states) value = array_named(outputs.back(), contract().object("states").text(name));
        }
        return (*decode_)(prepared, outputs);
    }

    /// What is fed of a raw row, an object an inference: for those who compare preparations.
    Json inputs(const Row& row) const {
        Json::List found;
        for (const Request& request : (*prepare_)(row).requests) {
            Json::Map feeds;
            for (const auto& [name, array] : request.feeds) feeds.emplace_back(name, json_of(array));
            found.push_back(feeds);
        }
        return found;
    }

    /// What is wrong with the answers to the golden rows, of every variant that the model's provider can run.
    std::vector<std::string> golden() const {
        Golden rows(bundle_);
        std::vector<std::string> wrong = rows.check(*prepare_);
        for (const Json& variant : Fields("manifest", bundle_.manifest()).list("variants")) {
            if (!fits(variant, device_, model_->provider)) continue;
            Model own(*runtime_, bundle_, variant, device_, model_->provider, threads_);
            std::unique_ptr<Writer> writer = writer_of(own.sessions);
            for (const std::string& line : rows.check(own, writer.get())) wrong.push_back(line);
        }
        return wrong;
    }

    /// What it is, and what of it this device takes.
    Json about() const {
        Fields manifest("manifest", bundle_.manifest());
        return Json::Map{{"name", manifest.text("name")},
                         {"version", manifest.whole("version", 1)},
                         {"task", contract().text("task")},
                         {"labels", contract().words("labels")},
                         {"reads", prepare_->kind()},
                         {"columns", prepare_->columns()},
                         {"writes", writes()},
                         {"variant", Fields("variant", model_->variant).text("name")},
                         {"provider", model_->provider}};
    }

    /// The first column of a row: what a file is given as.
    const std::vector<std::string>& columns() const { return prepare_->columns(); }
    const std::string& reads() const { return prepare_->kind(); }

    /// Writes latency in the agent's answers, one after another, on rows or, without any, on the golden ones.
    void measure(const std::vector<Row>& rows, const Measuring& how, const Write& write) {
        std::vector<Arrays> requests;
        Arrays states = zeros();
        for (const Row& row : rows) {
            for (Request& request : (*prepare_)(row).requests) {
                request.feeds.insert(request.feeds.end(), states.begin(), states.end());
                requests.push_back(model_->padded(request.feeds));
            }
        }
        if (requests.empty()) {
            for (const Arrays& feeds : Golden(bundle_).inputs) requests.push_back(model_->padded(feeds));
        }
        if (!writer_ && model_->sessions.size() > 1) {
            throw Unavailable("a model must be one graph to be measured so, or answer token by token, got several");
        }
        Unpacked files(bundle_, Fields("variant", model_->variant));
        Json options = Json::Map{{"model", files.path(Fields("variant", model_->variant).text("file"))},
                                 {"provider", model_->provider},
                                 {"threads", threads_},
                                 {"samples", how.samples},
                                 {"seconds", how.seconds},
                                 {"rounds", how.rounds},
                                 {"warmup-seconds", how.warmup_seconds},
                                 {"states", *contract().find("states")}};
        // Or its memory would be the agent's, too.
        writer_.reset();
        model_->sessions.clear();
        std::exception_ptr failure;
        try {
            Agent agent(library_);
            if (writes()) measure_written(agent, Fields("options", options), files, requests, how, write);
            else measure_alone(agent, write, Fields("options", options), [&] { return requests; });
        } catch (const Refusal&) {
            failure = std::current_exception();
        }
        load();
        writer_ = writer_of(model_->sessions);
        if (failure) std::rethrow_exception(failure);
    }

  private:
    Fields contract() const { return Fields("contract", bundle_.contract()); }

    /// What says a model's answers token by token; nullptr where it does not answer so.
    std::unique_ptr<Writer> writer_of(const Sessions& sessions) const {
        return writes() ? std::make_unique<Writer>(Generation(*runtime_, sessions, contract()), words_) : nullptr;
    }

    /// The tokens of a prompt, the one thing that is fed of it.
    static Ids prompt_of(const Arrays& feeds) {
        if (feeds.size() != 1) throw Broken("contract.json: preparation must make tokens alone for a model that writes");
        return whole_numbers(feeds[0].second);
    }

    void measure_written(Agent& agent, const Fields& options, const Unpacked& files, const std::vector<Arrays>& requests,
                         const Measuring& how, const Write& write) {
        std::vector<Json::Map> told = loaded_alone(agent, options);
        Sessions sessions = {{MAIN, agent.session()}};
        std::int64_t began = now_ns();
        for (const auto& [graph, file] : Fields("variant", model_->variant).texts("graphs")) {
            sessions[graph] = model_->started(file, files.path(file));
        }
        // All of it must be there before anything is answered.
        std::int64_t further_ns = now_ns() - began;
        for (Json::Map& reply : told) {
            for (auto& [name, value] : reply) {
                if (name == "load_ns") value = *value.as<std::int64_t>() + further_ns;
            }
            write(reply);
        }
        std::vector<Ids> prompts;
        for (const Arrays& feeds : requests) prompts.push_back(prompt_of(feeds));
        std::unique_ptr<Writer> writer = writer_of(sessions);
        WriterMeasuring(agent, *writer, std::move(prompts), how, write)();
    }

    /// A provider that is there and does not start is passed over.
    void load() {
        const Json::List& variants = Fields("manifest", bundle_.manifest()).list("variants");
        std::string reasons;
        for (Device left = device_; auto found = select(variants, left);) {
            auto& [variant, provider] = *found;
            try {
                model_ = std::make_unique<Model>(*runtime_, bundle_, variant, device_, provider, threads_);
                return;
            } catch (const Broken& error) {
                if (provider == CPU) throw;
                reasons += std::string("; ") + error.what();
                left.providers.erase(std::find(left.providers.begin(), left.providers.end(), provider));
            }
        }
        throw Unavailable("a variant must fit this device, got none for onnxruntime " + device_.runtime + " on " +
                          device_.architecture + reasons);
    }

    /// The states before anything was heard.
    Arrays zeros() const {
        Arrays found;
        for (const Json& input : contract().list("inputs")) {
            Fields value("inputs", input);
            if (!contract().object("states").given(value.text("name"))) continue;
            Array array{dtype_named(value.text("dtype")), shape_of(value), {}, {}};
            array.bytes.assign(elements(array.shape) * array.dtype.bytes, 0);
            found.emplace_back(value.text("name"), std::move(array));
        }
        return found;
    }

    Bundle bundle_;
    std::string library_;
    std::int64_t threads_;
    Device device_;
    std::unique_ptr<Runtime> runtime_;
    std::unique_ptr<Model> model_;
    std::unique_ptr<Preparation> prepare_;
    std::unique_ptr<Decoding> decode_;
    /// Of a model that writes.
    std::shared_ptr<const Detokenizer> words_;
    std::unique_ptr<Writer> writer_;
};

}  // namespace edgesft
