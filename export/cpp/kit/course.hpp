// An answer under way, the cache handed from one inference to the next without a copy.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "choosing.hpp"
#include "generation.hpp"
#include "model.hpp"
#include "request.hpp"

namespace edgesft {

/// Numbers of tokens.
using Ids = std::vector<std::int64_t>;

/// An answer under way: what was read, and the cache.
class Course {
  public:
    /// Both must outlive this.
    Course(const Generation& said, const Ids& prompt) : said_(said), prompt_(prompt), past_(said.blank) {
        for (const std::string& name : said.outputs) names_.push_back(name.c_str());
    }

    /// The scores of what follows: first of the prompt, then of the token that was chosen of those before.
    Scores scores(std::int64_t token = 0) {
        Ids fed = begun_ ? Ids{token} : begin();
        auto count = static_cast<std::int64_t>(fed.size());
        Feeds feeds = {{said_.tokens, tensor({1, count}, fed), {}}};
        if (!said_.keep.empty()) feeds.push_back({said_.keep, tensor({1}, {count - 1}), {}});
        feeds.insert(feeds.end(), past_.begin(), past_.end());
        feeds.insert(feeds.end(), read_.begin(), read_.end());
        std::vector<Value> made = run(MAIN, feeds, names_);
        for (std::size_t index = 0; index < past_.size(); ++index) past_[index].value = made[index + 1];
        return last(made[0].get());
    }

  private:
    /// What is fed first: the prompt, or, where a graph of its own reads that, what every answer begins by.
    Ids begin() {
        begun_ = true;
        if (said_.reader.empty()) return prompt_;
        std::vector<const char*> names;
        for (const Link& link : said_.links) names.push_back(link.output.c_str());
        Feeds feeds = {{said_.reads, tensor({1, static_cast<std::int64_t>(prompt_.size())}, prompt_), {}}};
        std::vector<Value> given = run(said_.reader, feeds, names);
        for (std::size_t index = 0; index < given.size(); ++index) {
            read_.push_back({said_.links[index].input, given[index], {}});
        }
        return {said_.begin};
    }

    Value tensor(std::vector<std::int64_t> shape, const Ids& numbers) const {
        return tensor_of(said_.ort, array_of_numbers("int64", std::move(shape), numbers));
    }

    /// One inference; what it gives stays in the runtime's memory.
    std::vector<Value> run(const std::string& graph, const Feeds& feeds, const std::vector<const char*>& names) const {
        try {
            return said_.sessions.at(graph)->run(feeds, names);
        } catch (const Refusal& error) {
            throw BadInput(std::string("the model must take what it is fed, got: ") + error.what());
        }
    }

    /// The scores at the last place of [1, places, vocabulary].
    Scores last(OrtValue* value) const {
        const Runtime& ort = said_.ort;
        auto [dtype, shape] = form_of(ort, value);
        bool halved = dtype.type == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16;
        bool fits = shape.size() == 3 && elements(shape) > 0 && (halved || dtype.type == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT);
        if (!fits) {
            throw Broken("'" + said_.outputs[0] + "' must be scores of [1, places, vocabulary], got " + dtype.name + " of " +
                         Json(shape).text());
        }
        void* data = nullptr;
        ort.check(ort->GetTensorMutableData(value, &data));
        auto width = static_cast<std::size_t>(shape[2]);
        std::size_t skipped = elements(shape) - width;
        Scores found(width);
        if (halved) {
            const auto* from = static_cast<const std::uint16_t*>(data) + skipped;
            for (std::size_t place = 0; place < width; ++place) found[place] = static_cast<float>(half(from[place]));
        } else {
            std::copy_n(static_cast<const float*>(data) + skipped, width, found.begin());
        }
        for (float score : found) {
            if (std::isnan(score)) throw Broken("'" + said_.outputs[0] + "' must be numbers, got NaN");
        }
        return found;
    }

    const Generation& said_;
    const Ids& prompt_;
    Feeds past_, read_;
    std::vector<const char*> names_;
    bool begun_ = false;
};

}  // namespace edgesft
