// Raw row → the model's inputs, as the contract's `preparation` says (export/BUNDLE.md).
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "blanks.hpp"
#include "bundle.hpp"
#include "request.hpp"
#include "spectrum.hpp"
#include "tokenizer.hpp"
#include "turns.hpp"

namespace edgesft {

class Preparation {
  public:
    /// Throws Broken where the contract says what cannot be, Unavailable where it says what this kit does not do.
    explicit Preparation(const Bundle& bundle) : contract_(bundle.contract()), said_(part_of(contract_)) {
        Fields said("preparation", said_), contract("contract", contract_);
        kind_ = said.text("kind");
        columns_ = said.words("columns");
        if (contract.list("inputs").empty()) throw Broken("contract.json: inputs must be there, got none");
        name_ = Fields("inputs", contract.list("inputs")[0]).text("name");
        if (kind_ == "text" || kind_ == "words" || kind_ == "text-pair" || kind_ == "conversation") {
            read_tokenizer(bundle, said);
        } else if (kind_ == "audio") {
            listener_ = std::make_unique<Listener>(said);
        } else if (kind_ == "frames") {
            read_framing(said, contract);
        } else if (kind_ == "image") {
            check_channels(said);
        } else if (kind_ != "arrays") {
            refuse_kind("preparation", kind_, contract.text("task"));
        }
        std::size_t columns = kind_ == "arrays" ? 0 : kind_ == "text-pair" ? 2 : 1;
        if (columns_.size() >= columns) return;
        throw Broken("contract.json: preparation.columns must be " + std::to_string(columns) + " or more, got " +
                     std::to_string(columns_.size()));
    }

    const std::string& kind() const { return kind_; }
    const std::vector<std::string>& columns() const { return columns_; }

    Prepared operator()(const Row& row) const {
        if (turns_) return conversation(row);
        if (tokenizer_) return texts(row);
        if (kind_ == "image") return picture(row);
        if (kind_ == "arrays") return arrays(row);
        return kind_ == "audio" ? sound(row) : frames(row);
    }

  private:
    static const Json& part_of(const Json& contract) {
        const Json* found = contract.find("preparation");
        if (!found) throw Broken("contract.json: preparation must be there, got none");
        return *found;
    }

    void read_tokenizer(const Bundle& bundle, const Fields& said) {
        if (!said.given("tokenizer")) throw Broken("contract.json: preparation.tokenizer must name a file, got none");
        Json tokenizer = bundle.json(said.text("tokenizer"));
        tokenizer_ = std::make_unique<Tokenizer>(tokenizer, said.flag("split_special_tokens"));
        Fields decoding = Fields("contract", contract_).object("decoding");
        bool writes = decoding.text("kind") == "generation";
        if (kind_ == "conversation") {
            if (!writes) throw Broken("contract.json: decoding.kind must be generation where a conversation is read");
            turns_ = std::make_unique<Turns>(*tokenizer_, said, decoding.wholes("stop"));
            name_ = decoding.text("tokens");
            return;
        }
        auto most = static_cast<std::size_t>(said.whole("max_length", 1));
        // What is to be answered in words is refused where it would be cut: it would be another question.
        if (writes) most_ = most;
        cut_ = {writes ? UNCUT : most, static_cast<std::size_t>(said.given("stride") ? said.whole("stride", 0) : 0),
                said.text("truncation_side") == "left"};
        if (said.given("prefix")) prefix_ = said.text("prefix");
    }

    void read_framing(const Fields& said, const Fields& contract) {
        name_ = said.text("input");
        framing_.emplace(said);
        for (const Json& input : contract.list("inputs")) {
            Fields value("inputs", input);
            if (value.text("name") == name_) shape_ = shape_of(value);
        }
        if (elements(shape_) == framing_->numbers()) return;
        throw Broken("contract.json: '" + name_ + "' must have the " + std::to_string(framing_->numbers()) +
                     " numbers of a frame, got the shape " + Json(shape_).text());
    }

    std::string text(const Row& row, std::size_t column) const {
        const Json& found = column_of(row, columns_[column]);
        if (!found.as<std::string>()) refuse_input(columns_[column], "text", found);
        return *found.as<std::string>();
    }

    [[noreturn]] static void refuse_input(const std::string& name, const char* wanted, const Json& got) {
        throw BadInput("'" + name + "' must be " + wanted + ", got " + shown(&got));
    }

    Request request(const Tokens& tokens) const {
        Request found;
        std::vector<std::int64_t> mask(tokens.size(), 1), shape = {1, static_cast<std::int64_t>(tokens.size())};
        Fields said("preparation", said_);
        for (const auto& [name, part] : said.texts("fields")) {
            const auto& values = part == "ids" ? tokens.ids : part == "type_ids" ? tokens.types : mask;
            found.feeds.emplace_back(name, array_of_numbers("int64", shape, values));
        }
        return found;
    }

    Prepared conversation(const Row& row) const {
        std::vector<std::int64_t> ids = (*turns_)(row.columns);
        Prepared made;
        made.requests.push_back({{{name_, array_of_numbers("int64", {1, static_cast<std::int64_t>(ids.size())}, ids)}}, {}, {}});
        return made;
    }

    Prepared texts(const Row& row) const {
        Prepared found;
        if (kind_ == "text") {
            Tokens tokens = tokenizer_->encode(prefix_ + text(row, 0), cut_);
            if (most_ && trimmed(text(row, 0)).empty()) throw BadInput("a prompt must hold words, got none");
            if (most_ && tokens.size() > most_) {
                throw BadInput("a prompt must be at most " + std::to_string(most_) + " tokens, as in training, got " +
                               std::to_string(tokens.size()));
            }
            found.requests.push_back(request(tokens));
        } else if (kind_ == "words") {
            std::vector<std::string> words = words_of(column_of(row, columns_[0]));
            Tokens tokens = tokenizer_->encode(words, cut_);
            Request made = request(tokens);
            made.first_tokens.assign(words.size(), -1);
            for (std::size_t place = tokens.size(); place-- > 0;) {
                if (tokens.words[place] >= 0) {
                    made.first_tokens[static_cast<std::size_t>(tokens.words[place])] = static_cast<int>(place);
                }
            }
            found.requests.push_back(std::move(made));
        } else {
            std::string passage = text(row, 1);
            found.passage = characters_of(passage);
            for (const Tokens& tokens : tokenizer_->windows(text(row, 0), passage, cut_)) {
                Request made = request(tokens);
                for (std::size_t place = 0; place < tokens.size(); ++place) {
                    made.covered.push_back(tokens.sequences[place] == 1 ? tokens.covered[place] : std::pair(-1, -1));
                }
                found.requests.push_back(std::move(made));
            }
        }
        return found;
    }

    std::vector<std::string> words_of(const Json& value) const {
        if (const std::string* text = value.as<std::string>()) return split(*text);
        std::vector<std::string> words;
        if (!value.as<Json::List>()) refuse_input(columns_[0], "a list of words, or text", value);
        for (const Json& each : *value.as<Json::List>()) {
            if (!each.as<std::string>()) refuse_input(columns_[0], "a list of words, or text", value);
            words.push_back(*each.as<std::string>());
        }
        return words;
    }

    Prepared picture(const Row& row) const {
        Fields said("preparation", said_);
        Picture found = coloured(row.picture ? *row.picture : picture_in(text(row, 0)), said.text("colour"));
        if (const Json* resize = said.given("resize")) {
            int height = 0, width = 0;
            if (const std::int64_t* side = resize->as<std::int64_t>()) {
                bool upright = found.height > found.width;
                int shorter = std::min(found.height, found.width), longer = std::max(found.height, found.width);
                height = width = static_cast<int>(*side);
                (upright ? height : width) = static_cast<int>(static_cast<double>(*side * longer) / shorter);
            } else {
                height = static_cast<int>(said.wholes("resize").at(0)), width = static_cast<int>(said.wholes("resize").at(1));
            }
            found = resized(found, height, width, said.text("resample"));
        }
        if (said.given("crop")) {
            std::vector<std::int64_t> crop = said.wholes("crop");
            found = cropped(found, static_cast<int>(crop.at(0)), static_cast<int>(crop.at(1)));
        }
        Prepared made;
        made.requests.push_back({{{name_, pixels_of(said, found)}}, {}, {}});
        return made;
    }

    Samples heard(const Row& row, int rate) const {
        Sound found = row.sound ? *row.sound : sound_in(text(row, 0));
        return resampled(found.samples, found.rate ? found.rate : rate, rate);
    }

    Prepared sound(const Row& row) const {
        auto [values, shape] = (*listener_)(heard(row, listener_->rate));
        shape.insert(shape.begin(), 1);
        Prepared made;
        made.requests.push_back({{{name_, array_of_numbers("float32", shape, values)}}, {}, {}});
        return made;
    }

    Prepared frames(const Row& row) const {
        const Framing& framing = *framing_;
        Prepared made;
        made.rate = rate_of(Fields("preparation", said_));
        Samples samples = heard(row, made.rate);
        if (samples.empty()) throw BadInput("a sound must have at least one sample, got none");
        for (double sample : samples) {
            if (!std::isfinite(sample)) throw BadInput("samples must be finite: cut the sound where they are not");
        }
        bool overlaps = Fields("contract", contract_).object("decoding").text("kind") == "frames";
        made.samples = samples.size();
        std::size_t all = samples.size() + (overlaps ? framing.window - framing.hop : 0);
        std::size_t count = (all + framing.hop - 1) / framing.hop;
        samples.resize(count * framing.hop);
        Framer frame(framing);
        for (std::size_t hop = 0; hop < count; ++hop) {
            Array array = array_of_numbers("float32", shape_, frame(samples.data() + hop * framing.hop));
            made.requests.push_back({{{name_, std::move(array)}}, {}, {}});
        }
        return made;
    }

    static Arrays arrays_in_file(const std::string& path) {
        try {
            return Npz(path).arrays();
        } catch (const Refusal& error) {
            throw BadInput(error.what());
        }
    }

    /// Arrays of an npz file; of a model with states one after another, from the first axis.
    Prepared arrays(const Row& row) const {
        Fields contract("contract", contract_);
        const Json* file = row.columns.find("file");
        if (!file || !file->as<std::string>()) throw BadInput("a row of arrays must have 'file', an npz file");
        Arrays all = arrays_in_file(*file->as<std::string>());
        Json::Map states = contract.object("states").members();
        Prepared made;
        for (const Json& input : contract.list("inputs")) {
            Fields value("inputs", input);
            std::string name = value.text("name");
            auto same = [&](const auto& each) { return each.first == name; };
            if (std::any_of(states.begin(), states.end(), same)) continue;
            auto found = std::find_if(all.begin(), all.end(), same);
            if (found == all.end()) throw BadInput("a row must have '" + name + "'");
            Array array = found->second;
            if (array.shape.size() + 1 == value.list("shape").size()) array.shape.insert(array.shape.begin(), 1);
            if (array.shape.size() != value.list("shape").size() || array.dtype.name != dtype_named(value.text("dtype")).name) {
                throw BadInput("'" + name + "' must be " + value.text("dtype") + " with as many axes as the model's input");
            }
            if (!states.empty() && array.shape.empty()) {
                throw Broken("contract.json: '" + name + "' must have an axis of frames, got none");
            }
            auto frames = states.empty() ? std::int64_t{1} : array.shape[0];
            if (made.requests.empty()) made.requests.resize(static_cast<std::size_t>(frames));
            if (frames < 1 || made.requests.size() != static_cast<std::size_t>(frames)) {
                throw BadInput("arrays must have at least one frame, and as many each");
            }
            std::size_t bytes = array.bytes.size() / static_cast<std::size_t>(frames);
            if (!states.empty()) array.shape[0] = 1;
            for (std::size_t frame = 0; frame < made.requests.size(); ++frame) {
                auto begin = array.bytes.begin() + static_cast<std::ptrdiff_t>(frame * bytes);
                Array part{array.dtype, array.shape, {begin, begin + static_cast<std::ptrdiff_t>(bytes)}, {}};
                made.requests[frame].feeds.emplace_back(name, std::move(part));
            }
        }
        if (made.requests.empty()) throw Broken("contract.json: inputs must have one that is no state, got none");
        return made;
    }

    const Json& contract_;
    const Json& said_;
    std::string kind_, name_;
    std::vector<std::string> columns_;
    std::unique_ptr<Tokenizer> tokenizer_;
    std::unique_ptr<Turns> turns_;
    std::unique_ptr<Listener> listener_;
    /// Of sound as it comes: how it is framed, and what a frame is fed as.
    std::optional<Framing> framing_;
    std::vector<std::int64_t> shape_;
    std::string prefix_;
    Cut cut_{};
    /// Tokens of a prompt at most; 0 where what is too long is cut.
    std::size_t most_ = 0;
};

}  // namespace edgesft
