// A bundle's model in ONNX Runtime, of the variant that this device takes.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bundle.hpp"
#include "fixed.hpp"
#include "profile.hpp"
#include "session.hpp"
#include "variant.hpp"

namespace edgesft {

/// A variant's file with what lies beside it: its own in a folder, one of its own where the bundle is an archive.
class Unpacked {
  public:
    Unpacked(const Bundle& bundle, const Fields& variant) {
        path_ = bundle.path(variant.text("file"));
        if (!bundle.packed()) return;
        folder_ = std::make_unique<TemporaryFolder>();
        for (const std::string& name : variant.words("files")) {
            fs::path target = fs::path(folder_->path) / name;
            std::error_code error;
            fs::create_directories(target.parent_path(), error);
            std::string_view data = bundle.view(name);
            std::ofstream file(target, std::ios::binary);
            file.write(data.data(), static_cast<std::streamsize>(data.size()));
            if (!file.flush()) throw Unavailable("TMPDIR must have room for " + name);
        }
        path_ = (fs::path(folder_->path) / variant.text("file")).string();
    }

    const std::string& path() const { return path_; }

  private:
    std::unique_ptr<TemporaryFolder> folder_;
    std::string path_;
};

class Model {
  public:
    /// Throws Broken where ONNX Runtime does not take the file.
    Model(const Runtime& ort, const Bundle& bundle, const Json& variant, const Device& device, const std::string& provider,
          std::int64_t threads)
        : variant(variant), provider(provider), ort_(ort), fixed_(Fields("variant", this->variant).object("fixed")) {
        Fields said("variant", this->variant);
        Origin origin;
        auto given = device.options.find(provider);
        origin.providers = {{provider, given == device.options.end() ? Texts() : given->second}};
        origin.threads = threads;
        bool alone = bundle.packed() && said.words("files").size() == 1;
        std::string_view bytes = alone ? bundle.view(said.text("file")) : std::string_view();
        std::unique_ptr<Unpacked> file = alone ? nullptr : std::make_unique<Unpacked>(bundle, said);
        if (file) origin.model = file->path();
        try {
            session_ = std::make_unique<Session>(ort, origin, options_of(ort, origin), bytes);
        } catch (const Refusal& error) {
            throw Broken(said.text("file") + ": must load in ONNX Runtime, got: " + error.what());
        }
        session_->describe();
    }

    /// One inference: outputs by name. Throws BadInput where the model does not take such feeds.
    Arrays operator()(const Arrays& feeds) const {
        Feeds values;
        for (const auto& [name, array] : fixed_.padded(feeds)) values.push_back({name, tensor_of(ort_, array), array.shape});
        std::vector<Value> made;
        try {
            made = session_->run(values);
        } catch (const Refusal& error) {
            throw BadInput(std::string("the model must take what it is fed, got: ") + error.what());
        }
        Arrays outputs;
        for (std::size_t index = 0; index < made.size(); ++index) {
            const std::string& name = session_->outputs[index].name;
            outputs.emplace_back(name, array_of(ort_, name, made[index].get()));
        }
        return fixed_.cut(outputs, feeds);
    }

    Arrays padded(const Arrays& feeds) const { return fixed_.padded(feeds); }

    const Json variant;
    const std::string provider;

  private:
    const Runtime& ort_;
    Fixed fixed_;
    std::unique_ptr<Session> session_;
};

/// The array of this name. Throws Broken where there is none.
inline const Array& array_named(const Arrays& arrays, const std::string& name) {
    for (const auto& [own, array] : arrays) {
        if (own == name) return array;
    }
    throw Broken("the model must give '" + name + "', got no such output");
}

/// Elements of an array as doubles; `T` is what they are.
template <typename T>
std::vector<double> doubles_of_type(const Array& array) {
    std::vector<double> found;
    for (std::size_t at = 0; at < array.bytes.size(); at += sizeof(T)) {
        T value;
        std::memcpy(&value, &array.bytes[at], sizeof(T));
        found.push_back(static_cast<double>(value));
    }
    return found;
}

/// A number of half precision (IEEE 754's binary16).
inline double half(unsigned bits) {
    int exponent = static_cast<int>(bits >> 10 & 0x1F);
    double fraction = bits & 0x3FF, sign = bits & 0x8000 ? -1.0 : 1.0;
    if (exponent == 0x1F) return fraction != 0.0 ? std::nan("") : sign * std::numeric_limits<double>::infinity();
    return sign * (exponent ? std::ldexp(1024 + fraction, exponent - 25) : std::ldexp(fraction, -24));
}

/// Numbers of an array. Throws Broken where it has none that a decoding takes.
inline std::vector<double> doubles_of(const Array& array) {
    switch (array.dtype.type) {
        case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT: return doubles_of_type<float>(array);
        case ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE: return doubles_of_type<double>(array);
        case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8: return doubles_of_type<std::int8_t>(array);
        case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8: return doubles_of_type<std::uint8_t>(array);
        case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32: return doubles_of_type<std::int32_t>(array);
        case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64: return doubles_of_type<std::int64_t>(array);
        case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16: {
            std::vector<double> found = doubles_of_type<std::uint16_t>(array);
            for (double& each : found) each = half(static_cast<unsigned>(each));
            return found;
        }
        default: throw Broken(std::string("an output must have numbers, got ") + array.dtype.name);
    }
}

}  // namespace edgesft
