// The kit's functions for other languages; nothing is thrown beyond them.
#include "edgesft_kit.h"

#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <utility>

#include "kit/kit.hpp"

using namespace edgesft;

struct edgesft_kit {
    Kit kit;
};

namespace {

char* copied(const std::string& text) {
    char* copy = static_cast<char*>(std::malloc(text.size() + 1));
    if (copy) std::memcpy(copy, text.c_str(), text.size() + 1);
    return copy;
}

/// What some work returns; nothing where it throws, and the reason goes to the caller.
template <typename Work>
auto guarded(char** error, Work work) -> decltype(work()) {
    if (error) *error = nullptr;
    try {
        return work();
    } catch (const std::exception& thrown) {
        if (error) *error = copied(std::to_string(code_of(thrown)) + " " + thrown.what());
        return nullptr;
    }
}

Row row_of(const char* text) {
    Row row;
    try {
        row.columns = Reader(text).read();
    } catch (const Refusal& error) {
        throw BadInput(std::string("a row must be a JSON object, got: ") + error.what());
    }
    if (!row.columns.as<Json::Map>()) throw BadInput("a row must be a JSON object, got " + shown(&row.columns));
    return row;
}

}  // namespace

edgesft_kit* edgesft_kit_open(const char* bundle, const char* library, const char* provider, int32_t threads, char** error) {
    return guarded(error, [&]() -> edgesft_kit* {
        std::vector<std::string> providers;
        if (provider && *provider) providers.push_back(provider);
        return new edgesft_kit{Kit(bundle, library ? library : "", providers, threads)};
    });
}

void edgesft_kit_close(edgesft_kit* kit) { delete kit; }

char* edgesft_kit_about(edgesft_kit* kit, char** error) {
    return guarded(error, [&] { return copied(kit->kit.about().text()); });
}

char* edgesft_kit_answer(edgesft_kit* kit, const char* row, char** error) {
    return guarded(error, [&] { return copied(kit->kit.answer(row_of(row)).json.text()); });
}

char* edgesft_kit_answer_pixels(edgesft_kit* kit, const uint8_t* pixels, int32_t height, int32_t width, int32_t channels,
                                char** error) {
    return guarded(error, [&] {
        if (height < 1 || width < 1 || (channels != 1 && channels != 3)) throw BadInput("a picture must have pixels of 1 or 3 channels");
        Row row;
        row.picture.emplace(height, width, channels);
        std::copy_n(pixels, row.picture->pixels.size(), row.picture->pixels.begin());
        return copied(kit->kit.answer(row).json.text());
    });
}

char* edgesft_kit_answer_samples(edgesft_kit* kit, const float* samples, size_t count, int32_t rate, float* made, size_t room,
                                 char** error) {
    return guarded(error, [&] {
        if (rate < 1) throw BadInput("rate must be at least 1, got " + std::to_string(rate));
        Row row;
        row.sound = Sound{Samples(samples, samples + count), rate};
        Answer answer = kit->kit.answer(row);
        if (made) std::copy_n(answer.samples.begin(), std::min(room, answer.samples.size()), made);
        return copied(answer.json.text());
    });
}

char* edgesft_kit_say(edgesft_kit* kit, const char* row, int32_t most, const edgesft_kit_sampling* how, edgesft_kit_told told,
                      void* own, char** error) {
    return guarded(error, [&] {
        Sampling sampling;
        if (how) sampling = {how->temperature, how->top_k, how->top_p, how->seed};
        auto heard = [&](const std::string& piece) { return !told || told(piece.c_str(), piece.size(), own) == 0; };
        return copied(kit->kit.say(row_of(row), most, sampling, heard).json().text());
    });
}

char* edgesft_kit_inputs(edgesft_kit* kit, const char* row, char** error) {
    return guarded(error, [&] { return copied(kit->kit.inputs(row_of(row)).text()); });
}

char* edgesft_kit_golden(edgesft_kit* kit, char** error) {
    return guarded(error, [&] {
        std::string lines;
        for (const std::string& line : kit->kit.golden()) lines += line + "\n";
        return copied(lines);
    });
}

char* edgesft_kit_measure(edgesft_kit* kit, double seconds, char** error) {
    return guarded(error, [&] {
        std::string lines;
        Measuring how;
        how.seconds = how.warmup_seconds = seconds;
        kit->kit.measure({}, how, [&](const Json::Map& reply) { lines += Json(reply).text() + "\n"; });
        return copied(lines);
    });
}

void edgesft_kit_free(char* text) { std::free(text); }
