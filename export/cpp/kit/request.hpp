// What goes into a kit, and what becomes of it: rows, requests, and numbers as the model takes them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "npz.hpp"
#include "picture.hpp"
#include "sound.hpp"

namespace edgesft {

/// A raw row: its columns, of which a file may be given as what it holds.
struct Row {
    Json columns = Json::Map();
    std::optional<Picture> picture;
    std::optional<Sound> sound;
};

/// One inference: its feeds without the states, and what decoding must know of it besides.
struct Request {
    Arrays feeds;
    /// Place of each word's first token, -1 where it was cut off.
    std::vector<int> first_tokens;
    /// The characters of the passage that each token covers, -1 where it is no part of it.
    std::vector<std::pair<int, int>> covered;
};

/// A row as requests, and what decoding must know of all of them.
struct Prepared {
    std::vector<Request> requests;
    std::u32string passage;
    std::size_t samples = 0;
    int rate = 0;
};

template <typename T>
Array array_of_numbers(const char* dtype, std::vector<std::int64_t> shape, const std::vector<T>& values) {
    Array array{dtype_named(dtype), std::move(shape), {}, {}};
    array.bytes.resize(values.size() * sizeof(T));
    if (!values.empty()) std::memcpy(array.bytes.data(), values.data(), array.bytes.size());
    check_size(dtype, array);
    return array;
}

/// Numbers of an array of int64. Throws Broken where it is another.
inline std::vector<std::int64_t> whole_numbers(const Array& array) {
    if (array.dtype.type != ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64) throw Broken(std::string("tokens must be int64, got ") + array.dtype.name);
    std::vector<std::int64_t> found(array.bytes.size() / sizeof(std::int64_t));
    if (!found.empty()) std::memcpy(found.data(), array.bytes.data(), array.bytes.size());
    return found;
}

/// A shape of the contract with every free axis of 1.
inline std::vector<std::int64_t> shape_of(const Fields& value) {
    std::vector<std::int64_t> shape;
    for (const Json& axis : value.list("shape")) shape.push_back(axis.as<std::int64_t>() ? *axis.as<std::int64_t>() : 1);
    return shape;
}

/// A member of an object that a row must have.
inline const Json& column_of(const Row& row, const std::string& name) {
    const Json* found = row.columns.find(name);
    if (!found) throw BadInput("a row must have '" + name + "', got " + shown(&row.columns));
    return *found;
}

/// A setting that is one number, or one a channel; empty where it is left out. Throws Refusal where it is neither.
inline std::vector<float> numbers_of(const Fields& said, const char* name) {
    const Json* value = said.given(name);
    if (!value) return {};
    if (!value->as<Json::List>()) return {static_cast<float>(said.number(name))};
    std::vector<float> found;
    for (const Json& each : *value->as<Json::List>()) {
        const double* number = each.as<double>();
        const std::int64_t* whole = each.as<std::int64_t>();
        if (!number && !whole) refuse(name, "a number, or one a channel", value);
        found.push_back(static_cast<float>(number ? *number : static_cast<double>(*whole)));
    }
    return found;
}

/// Throws Broken where a picture is normalised by neither one number nor one of each channel.
inline void check_channels(const Fields& said) {
    std::size_t channels = said.text("colour") == "L" ? 1 : 3;
    for (const char* name : {"mean", "std"}) {
        std::size_t count = numbers_of(said, name).size();
        if (count <= 1 || count == channels) continue;
        throw Broken(std::string("contract.json: preparation.") + name + " must be one number, or one for each of " +
                     std::to_string(channels) + " channels, got " + std::to_string(count));
    }
}

/// What a model takes of a picture: scaled, normalised and laid out as the contract says, which was checked.
inline Array pixels_of(const Fields& said, const Picture& picture) {
    std::string dtype = said.text("dtype");
    bool first = said.text("layout") == "NCHW";
    std::vector<float> mean = numbers_of(said, "mean"), std = numbers_of(said, "std");
    double scale = said.given("scale") ? said.number("scale") : 1.0;
    std::vector<float> found(picture.pixels.size());
    std::size_t next = 0;
    auto put = [&](int row, int column, int channel) {
        auto of = [&](const std::vector<float>& all) { return all[all.size() == 1 ? 0 : static_cast<std::size_t>(channel)]; };
        auto value = static_cast<float>(picture.at(row, column, channel) * scale);
        if (!mean.empty()) value -= of(mean);
        if (!std.empty()) value /= of(std);
        found[next++] = value;
    };
    for (int outer = 0; outer < (first ? picture.channels : picture.height); ++outer) {
        for (int middle = 0; middle < (first ? picture.height : picture.width); ++middle) {
            for (int inner = 0; inner < (first ? picture.width : picture.channels); ++inner) {
                first ? put(middle, inner, outer) : put(outer, middle, inner);
            }
        }
    }
    std::int64_t height = picture.height, width = picture.width, channels = picture.channels;
    std::vector<std::int64_t> shape = {1, height, width, channels};
    if (first) shape = {1, channels, height, width};
    if (dtype == "float32") return array_of_numbers("float32", shape, found);
    bool low = dtype == "int8";
    if (!low && dtype != "uint8") throw Broken("contract.json: preparation.dtype must be float32 or of 8 bits, got " + dtype);
    std::vector<std::uint8_t> bytes;
    for (float value : found) {
        float whole = std::clamp(std::nearbyint(value), low ? -128.0F : 0.0F, low ? 127.0F : 255.0F);
        bytes.push_back(static_cast<std::uint8_t>(static_cast<int>(whole)));
    }
    return array_of_numbers(low ? "int8" : "uint8", shape, bytes);
}

}  // namespace edgesft
