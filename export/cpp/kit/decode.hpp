// Outputs → answer, as the contract's `decoding` says (export/BUNDLE.md).
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "boxes.hpp"
#include "model.hpp"
#include "prepare.hpp"

namespace edgesft {

/// An answer: JSON, and where a model makes sound, its samples.
struct Answer {
    Json json;
    std::vector<float> samples;
    int rate = 0;
};

class Decoding {
  public:
    /// Throws Broken where the contract says what cannot be, Unavailable where it says what this kit does not do.
    explicit Decoding(const Bundle& bundle) : contract_(bundle.contract()) {
        Fields contract("contract", contract_), said = contract.object("decoding"), limits = contract.object("thresholds");
        kind_ = said.text("kind");
        labels_ = contract.words("labels");
        for (const auto& [name, decode] : KINDS) decode_ = kind_ == name ? decode : decode_;
        if (!decode_) refuse_kind("decoding", kind_, contract.text("task"));
        if (limits.given("unknown") && limits.object("unknown").text("score") != SCORE) {
            throw Broken(std::string("contract.json: thresholds.unknown.score must be '") + SCORE + "'");
        }
        check_labels(said);
        if (kind_ == "frames") check_frames(said, contract.object("preparation"));
    }

    /// The answer to a row.
    ///
    /// Args:
    ///     outputs: What the model answered to each of its requests.
    Answer operator()(const Prepared& row, const std::vector<Arrays>& outputs) const { return (this->*decode_)(row, outputs); }

  private:
    using Outputs = std::vector<Arrays>;
    using Decode = Answer (Decoding::*)(const Prepared&, const Outputs&) const;

    /// How sure a model is that an input is of a class that it knows.
    static constexpr const char* SCORE = "max(logits) - mean(logits) + log(sum(exp(logits - max(logits))))";

    /// Throws Broken where the decoding goes by other labels than there are.
    void check_labels(const Fields& said) const {
        auto count = static_cast<std::int64_t>(labels_.size());
        bool other = count && said.given("classes") && said.whole("classes", 1) != count;
        if (other || (kind_ == "tags" && !count)) {
            throw Broken("contract.json: labels must be as many as classes, got " + std::to_string(count));
        }
        if (kind_ != "heads") return;
        for (const Json& each : said.list("heads")) {
            Fields head("heads", each);
            std::int64_t first = head.whole("first", 0), classes = head.whole("classes", 1);
            std::string before = head.text("name") + "/";
            bool own = first <= count && classes <= count - first;
            for (std::int64_t place = first; own && place < first + classes; ++place) {
                own = labels_[static_cast<std::size_t>(place)].rfind(before, 0) == 0;
            }
            if (!own) throw Broken("contract.json: labels must have those of " + head.text("name") + " where its classes are");
        }
    }

    /// Throws Broken where a model's sound is framed otherwise than what it hears.
    static void check_frames(const Fields& said, const Fields& preparation) {
        Framing own(said);
        bool heard = preparation.text("kind") == "frames";
        if (heard && Framing(preparation).window == own.window && Framing(preparation).hop == own.hop) return;
        throw Broken("contract.json: decoding must have the window and the hop of preparation");
    }

    Fields said() const { return Fields("decoding", *contract_.find("decoding")); }

    std::string output() const { return said().text("output"); }

    /// Numbers of an output. Throws Broken where there are fewer than that.
    static std::vector<double> numbers_named(const Arrays& outputs, const std::string& name, std::size_t least) {
        std::vector<double> found = doubles_of(array_named(outputs, name));
        if (found.size() >= least) return found;
        throw Broken("'" + name + "' must have " + std::to_string(least) + " numbers, got " + std::to_string(found.size()));
    }

    static std::size_t greatest(const std::vector<double>& scores) {
        return static_cast<std::size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
    }

    /// The greatest of some scores with its probability.
    static Json::Map likeliest(const std::vector<double>& scores, double temperature, const std::vector<std::string>& labels) {
        std::size_t best = greatest(scores);
        double sum = 0.0;
        for (double score : scores) sum += std::exp((score - scores[best]) / temperature);
        Json label = labels.empty() ? Json(best) : Json(labels.at(best));
        return {{"label", label}, {"score", 1 / sum}};
    }

    Answer classes(const Prepared&, const Outputs& outputs) const {
        // What streams answers a request after another; the last one has heard all.
        auto classes = static_cast<std::size_t>(said().whole("classes", 1));
        std::vector<double> scores = numbers_named(outputs.back(), output(), classes);
        scores.resize(classes);
        Json::Map answer = likeliest(scores, said().number("temperature"), labels_);
        Fields limits("thresholds", *contract_.find("thresholds"));
        if (limits.given("unknown")) {
            double top = scores[greatest(scores)], sum = 0.0, count = static_cast<double>(scores.size());
            for (double score : scores) sum += std::exp(score - top);
            double known = top - std::accumulate(scores.begin(), scores.end(), 0.0) / count + std::log(sum);
            answer.emplace_back("known", known >= limits.object("unknown").number("accept_above"));
        }
        return {answer, {}, 0};
    }

    Answer tags(const Prepared& row, const Outputs& outputs) const {
        const std::vector<std::int64_t>& shape = array_named(outputs[0], output()).shape;
        const std::vector<int>& firsts = row.requests[0].first_tokens;
        auto width = static_cast<std::ptrdiff_t>(labels_.size());
        if (shape.size() != 3 || shape[2] != width) {
            throw Broken("'" + output() + "' must have a score of each label for each token");
        }
        std::ptrdiff_t tokens = firsts.empty() ? 0 : *std::max_element(firsts.begin(), firsts.end()) + 1;
        std::vector<double> all = numbers_named(outputs[0], output(), static_cast<std::size_t>(tokens * width));
        Json::List found;
        for (int place : firsts) {
            auto begin = all.begin() + place * width;
            found.push_back(place < 0 ? Json() : Json(labels_[greatest({begin, begin + width})]));
        }
        return {found, {}, 0};
    }

    Answer heads(const Prepared&, const Outputs& outputs) const {
        std::vector<double> all = numbers_named(outputs[0], output(), labels_.size());
        Json::Map found;
        for (const Json& each : said().list("heads")) {
            Fields head("heads", each);
            auto first = static_cast<std::ptrdiff_t>(head.whole("first", 0)), count = static_cast<std::ptrdiff_t>(head.whole("classes", 1));
            std::vector<std::string> labels;
            for (auto label = labels_.begin() + first; label != labels_.begin() + first + count; ++label) {
                labels.push_back(label->substr(head.text("name").size() + 1));
            }
            auto begin = all.begin() + first;
            found.emplace_back(head.text("name"), likeliest({begin, begin + count}, 1.0, labels));
        }
        return {found, {}, 0};
    }

    /// The places of the best scores, the earlier one of two that are alike; what is no number is none of them.
    std::vector<std::size_t> highest(const std::vector<double>& scores, const Request& request) const {
        std::vector<std::size_t> places;
        for (std::size_t place = 0; place < request.covered.size(); ++place) {
            if (request.covered[place].first >= 0 && !std::isnan(scores[place])) places.push_back(place);
        }
        std::stable_sort(places.begin(), places.end(), [&](std::size_t one, std::size_t other) { return scores[one] > scores[other]; });
        places.resize(std::min(places.size(), static_cast<std::size_t>(said().whole("candidates", 1))));
        return places;
    }

    Answer span(const Prepared& row, const Outputs& outputs) const {
        double best = -std::numeric_limits<double>::infinity();
        std::pair<int, int> found = {-1, -1};
        auto longest = static_cast<std::size_t>(said().whole("longest", 1));
        for (std::size_t window = 0; window < outputs.size(); ++window) {
            const Request& request = row.requests[window];
            std::size_t tokens = request.covered.size();
            std::vector<double> starts = numbers_named(outputs[window], said().text("start"), tokens);
            std::vector<double> ends = numbers_named(outputs[window], said().text("end"), tokens);
            for (std::size_t first : highest(starts, request)) {
                for (std::size_t last : highest(ends, request)) {
                    // Sums in single precision, as in training: what is alike there is alike here.
                    double sum = static_cast<double>(static_cast<float>(starts[first]) + static_cast<float>(ends[last]));
                    if (last < first || last - first >= longest || sum <= best) continue;
                    best = sum;
                    found = {request.covered[first].first, request.covered[last].second};
                }
            }
        }
        std::u32string text = found.first < 0 ? U"" : row.passage.substr(static_cast<std::size_t>(found.first),
                                                                         static_cast<std::size_t>(found.second - found.first));
        return {Json::Map{{"answer", utf8_of(text)}, {"start", found.first}, {"end", found.second}, {"score", best}}, {}, 0};
    }

    Answer boxes(const Prepared&, const Outputs& outputs) const { return {boxes_in(said(), labels_, outputs[0]), {}, 0}; }

    Answer frames(const Prepared& row, const Outputs& outputs) const {
        Framing framing(said());
        Adder add(framing, said().number("gain"));
        Answer answer{{}, {}, row.rate};
        for (const Arrays& each : outputs) {
            std::vector<double> frame = doubles_of(array_named(each, output()));
            if (frame.size() != framing.numbers()) {
                throw Broken("'" + output() + "' must be a frame, got " + std::to_string(frame.size()) + " numbers");
            }
            std::vector<float> values(frame.begin(), frame.end());
            add(values.data(), answer.samples);
        }
        auto lag = static_cast<std::ptrdiff_t>(framing.window - framing.hop);
        answer.samples.erase(answer.samples.begin(), answer.samples.begin() + lag);
        answer.samples.resize(row.samples);
        answer.json = Json::Map{{"rate", row.rate}, {"samples", row.samples}};
        return answer;
    }

    Answer probability(const Prepared&, const Outputs& outputs) const {
        Json::List chances;
        double above = 0.0;
        for (const Arrays& each : outputs) {
            double chance = numbers_named(each, output(), 1)[0];
            above += chance >= said().number("threshold");
            chances.push_back(chance);
        }
        double share = above / static_cast<double>(outputs.size());
        Json label = labels_.empty() ? Json() : Json(labels_.back());
        return {Json::Map{{"label", label}, {"share", share}, {"probabilities", chances}}, {}, 0};
    }

    /// The next of an array's numbers, as lists within lists from an axis on.
    static Json nested(const Array& array, std::size_t axis, std::vector<double>::const_iterator& next) {
        bool real = std::string_view(array.dtype.name).rfind("float", 0) == 0;
        if (axis == array.shape.size()) return real ? Json(*next++) : Json(static_cast<std::int64_t>(*next++));
        Json::List found;
        for (std::int64_t place = 0; place < array.shape[axis]; ++place) found.push_back(nested(array, axis + 1, next));
        return found;
    }

    Answer numbers(const Prepared&, const Outputs& outputs) const {
        const Array& array = array_named(outputs.back(), output());
        std::vector<double> all = doubles_of(array);
        auto next = all.cbegin();
        return {nested(array, 0, next), {}, 0};
    }

    static constexpr std::pair<const char*, Decode> KINDS[] = {
        {"classes", &Decoding::classes}, {"tags", &Decoding::tags},     {"heads", &Decoding::heads},
        {"span", &Decoding::span},       {"frames", &Decoding::frames}, {"probability", &Decoding::probability},
        {"numbers", &Decoding::numbers}, {"boxes", &Decoding::boxes},
    };

    const Json& contract_;
    std::string kind_;
    std::vector<std::string> labels_;
    Decode decode_ = nullptr;
};

}  // namespace edgesft
