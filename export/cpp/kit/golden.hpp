// The golden rows: real inputs with the answers that a device must give, and how far it may be off.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "model.hpp"
#include "prepare.hpp"
#include "writer.hpp"

namespace edgesft {

/// Arrays of an object of the protocol's.
inline Arrays arrays_in(const Fields& said) {
    Arrays found;
    for (const auto& [name, array] : said.members()) found.emplace_back(name, array_of(name, array));
    return found;
}

/// How far one output is off over all rows: as a share of its largest magnitude, or of the elements that differ.
inline double apart(const std::vector<Array>& expected, const std::vector<Array>& got) {
    constexpr double infinite = std::numeric_limits<double>::infinity();
    double absolute = 0.0, magnitude = 0.0, differ = 0.0, count = 0.0;
    for (std::size_t row = 0; row < expected.size(); ++row) {
        const Array &left = expected[row], &right = got[row];
        std::string dtype = left.dtype.name;
        if (dtype != right.dtype.name || left.shape != right.shape) return infinite;
        if (dtype.rfind("float", 0) == 0 || dtype == "int8" || dtype == "uint8") {
            std::vector<double> mine = doubles_of(left), theirs = doubles_of(right);
            for (std::size_t place = 0; place < mine.size(); ++place) {
                double off = mine[place] == theirs[place] ? 0.0 : std::abs(mine[place] - theirs[place]);
                absolute = std::isnan(off) ? infinite : std::max(absolute, off);
                if (std::isfinite(mine[place])) magnitude = std::max(magnitude, std::abs(mine[place]));
            }
        } else {
            std::size_t width = std::max<std::size_t>(1, left.dtype.bytes), elements = left.bytes.size() / width;
            for (std::size_t place = 0; place < elements; ++place) {
                differ += std::memcmp(&left.bytes[place * width], &right.bytes[place * width], width) != 0;
            }
            for (std::size_t place = 0; place < left.texts.size(); ++place) differ += left.texts[place] != right.texts[place];
            count += static_cast<double>(elements + left.texts.size());
        }
    }
    if (count != 0.0) return differ / count;
    return absolute == 0.0 ? 0.0 : magnitude != 0.0 ? absolute / magnitude : infinite;
}

class Golden {
  public:
    /// Throws Broken where they are not what they say.
    explicit Golden(const Bundle& bundle) : said_(bundle.json("golden.json")) {
        for (const Json& row : Fields("golden.json", said_).list("rows")) {
            inputs.push_back(arrays_in(Fields("rows", row).object("inputs")));
        }
    }

    /// What of a model's answers is further off than it may be, a line each.
    ///
    /// Args:
    ///     writer: What says its answers, where it does so token by token; else nullptr.
    std::vector<std::string> check(const Model& model, const Writer* writer) const {
        std::string name = Fields("variant", model.variant).text("golden");
        Fields known = Fields("golden.json", said_).object("tolerances").object(name);
        double limit = known.number(known.given(model.provider) ? model.provider : "*");
        std::vector<Arrays> expected, got;
        for (const Json& row : Fields("golden.json", said_).list("rows")) {
            expected.push_back(arrays_in(Fields("rows", row).object("outputs").object(name)));
            got.push_back(writer ? said(*writer, inputs[got.size()], expected.back()) : model(inputs[got.size()]));
        }
        if (writer) settle(expected, got, writer->generation.outputs[0], limit);
        std::vector<std::string> wrong;
        // Beside what a writer says there are margins.
        for (const auto& output : expected.empty() ? Arrays() : writer ? got[0] : expected[0]) {
            std::vector<Array> left, right;
            for (std::size_t row = 0; row < expected.size(); ++row) {
                left.push_back(array_named(expected[row], output.first));
                right.push_back(array_named(got[row], output.first));
            }
            double off = apart(left, right);
            // A token is the same or another.
            if (off <= (writer && output.first == TOKENS ? 0.0 : limit)) continue;
            char numbers[80];
            std::snprintf(numbers, sizeof numbers, "within %g of its largest magnitude, got %.2g", limit, off);
            wrong.push_back(Fields("variant", model.variant).text("name") + ": '" + output.first + "' must be " + numbers +
                            " on " + model.provider);
        }
        return wrong;
    }

    /// Rows of which this kit makes other inputs than were packed, a line each.
    std::vector<std::string> check(const Preparation& prepare) const {
        std::vector<std::string> wrong;
        const Json::List& rows = Fields("golden.json", said_).list("rows");
        for (std::size_t place = 0; place < rows.size(); ++place) {
            const Json* raw = Fields("rows", rows[place]).given("row");
            if (!raw) continue;
            Row row;
            row.columns = *raw;
            Prepared made = prepare(row);
            for (const auto& [name, array] : inputs[place]) {
                const Array& own = array_named(made.requests.at(0).feeds, name);
                if (own.shape == array.shape && own.bytes == array.bytes) continue;
                wrong.push_back("golden row " + std::to_string(place + 1) + ": " + name + " must be what was packed, got another");
            }
        }
        return wrong;
    }

    std::vector<Arrays> inputs;

  private:
    static constexpr const char* TOKENS = "tokens";

    /// What a model answers where the golden tokens are said, whatever others are likelier.
    static Arrays said(const Writer& writer, const Arrays& feeds, const Arrays& expected) {
        Ids prompt = whole_numbers(feeds.at(0).second), tokens = whole_numbers(array_named(expected, TOKENS)), best;
        Scores first, scores;
        Course course(writer.generation, prompt);
        for (std::size_t place = 0; place < tokens.size(); ++place) {
            Scores each = course.scores(place ? tokens[place - 1] : 0);
            if (tokens[place] < 0 || static_cast<std::size_t>(tokens[place]) >= each.size()) {
                throw Broken("golden.json: tokens must be of the vocabulary, got " + std::to_string(tokens[place]));
            }
            if (!place) first = each;
            best.push_back(static_cast<std::int64_t>(likeliest(each)));
            scores.push_back(each[static_cast<std::size_t>(tokens[place])]);
        }
        const std::string& output = writer.generation.outputs[0];
        auto list = [](const char* dtype, const auto& values) {
            return array_of_numbers(dtype, {static_cast<std::int64_t>(values.size())}, values);
        };
        return {{output, list("float32", first)}, {"scores", list("float32", scores)}, {TOKENS, list("int64", best)}};
    }

    /// Leaves out tokens whose score was less than twice the tolerance above the next best one's.
    static void settle(std::vector<Arrays>& expected, std::vector<Arrays>& got, const std::string& output, double limit) {
        double magnitude = 0.0;
        for (const Arrays& row : expected) {
            for (double score : doubles_of(array_named(row, output))) magnitude = std::max(magnitude, std::abs(score));
        }
        for (std::size_t row = 0; row < expected.size(); ++row) {
            std::vector<double> margins = doubles_of(array_named(expected[row], "margins"));
            for (Arrays* each : {&expected[row], &got[row]}) {
                for (auto& [name, array] : *each) {
                    if (name != TOKENS) continue;
                    Ids kept, all = whole_numbers(array);
                    for (std::size_t place = 0; place < all.size(); ++place) {
                        if (margins.at(place) > 2 * limit * magnitude) kept.push_back(all[place]);
                    }
                    array = array_of_numbers("int64", {static_cast<std::int64_t>(kept.size())}, kept);
                }
            }
        }
    }

    Json said_;
};

}  // namespace edgesft
