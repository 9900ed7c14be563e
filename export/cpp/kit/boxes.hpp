// What is where on a picture (export/BUNDLE.md, "Boxes").
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "model.hpp"

namespace edgesft {

/// A box that is looked at: its place and its label by their numbers, and its probability.
struct Candidate {
    std::size_t place, label;
    double score;

    /// Whether it comes before another: the surer, of equal ones the earlier place, and there the earlier label.
    bool operator<(const Candidate& other) const {
        return std::tie(other.score, place, label) < std::tie(score, other.place, other.label);
    }
};

/// The area that two boxes share by the area that they cover together.
inline double overlap(const double* one, const double* other) {
    double common = 1.0;
    for (int axis = 0; axis < 2; ++axis) {
        double low = std::max(one[axis] - one[2 + axis] / 2, other[axis] - other[2 + axis] / 2);
        double high = std::min(one[axis] + one[2 + axis] / 2, other[axis] + other[2 + axis] / 2);
        common *= std::max(0.0, high - low);
    }
    double all = one[2] * one[3] + other[2] * other[3] - common;
    return all > 0 ? common / all : 0.0;
}

/// Probabilities of each place's labels: shared out where there is one score more, for nothing; else each by itself.
inline std::vector<double> chances_of(std::vector<double> scores, std::size_t width, bool shared) {
    for (std::size_t at = 0; at < scores.size(); at += width) {
        auto begin = scores.begin() + static_cast<std::ptrdiff_t>(at), end = begin + static_cast<std::ptrdiff_t>(width);
        double top = *std::max_element(begin, end), sum = 0.0;
        for (auto each = begin; each != end; ++each) sum += std::exp(*each - top);
        std::transform(begin, end, begin, [&](double score) {
            return shared ? std::exp(score - top) / sum : 1 / (1 + std::exp(-score));
        });
    }
    return scores;
}

/// The surest boxes, each with its label, probability, and left, top, width and height as shares of the picture.
inline Json boxes_in(const Fields& said, const std::vector<std::string>& labels, const Arrays& outputs) {
    constexpr std::size_t candidates = 300;
    const Array &logits = array_named(outputs, said.text("output")), &places = array_named(outputs, said.text("boxes"));
    if (logits.shape.size() != 3 || places.shape.size() != 3 || logits.shape[0] != 1 || places.shape[0] != 1 ||
        logits.shape[1] != places.shape[1] || places.shape[2] != 4 ||
        logits.shape[2] < static_cast<std::int64_t>(labels.size())) {
        throw Broken("'" + said.text("boxes") + "' must have four numbers for each place that has scores");
    }
    auto width = static_cast<std::size_t>(logits.shape[2]), most = static_cast<std::size_t>(said.whole("most", 1));
    bool shared = width > labels.size();
    std::vector<double> boxes = doubles_of(places), chances = chances_of(doubles_of(logits), width, shared), kept;
    if (said.given("kept")) {
        kept = doubles_of_type<std::uint8_t>(array_named(outputs, said.text("kept")));
        if (kept.size() != chances.size()) {
            throw Broken("'" + said.text("kept") + "' must say of each score whether it is left");
        }
    }
    std::vector<Candidate> found;
    for (std::size_t label = 0; label < labels.size(); ++label) {
        std::vector<Candidate> own, left;
        for (std::size_t place = 0; place * width < chances.size(); ++place) {
            std::size_t at = place * width + label;
            bool here = kept.empty() || kept[at] != 0;
            if (here && chances[at] >= said.number("least_score")) own.push_back({place, label, chances[at]});
        }
        std::sort(own.begin(), own.end());
        bool all = shared || !kept.empty();
        for (std::size_t place = 0; !all && place < std::min(own.size(), candidates) && left.size() < most; ++place) {
            auto over = [&](const Candidate& each) {
                return overlap(&boxes[4 * each.place], &boxes[4 * own[place].place]) > said.number("iou");
            };
            if (std::none_of(left.begin(), left.end(), over)) left.push_back(own[place]);
        }
        for (const Candidate& each : all ? own : left) found.push_back(each);
    }
    std::sort(found.begin(), found.end());
    found.resize(std::min(found.size(), most));
    Json::List told;
    for (const Candidate& each : found) {
        const double* box = &boxes[4 * each.place];
        Json::List sides = {box[0] - box[2] / 2, box[1] - box[3] / 2, box[2], box[3]};
        told.push_back(Json::Map{{"label", labels[each.label]}, {"score", each.score}, {"box", sides}});
    }
    return Json::Map{{"boxes", told}};
}

}  // namespace edgesft
