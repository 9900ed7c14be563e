// A bundle's model in ONNX Runtime, of the variant that this device takes.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bundle.hpp"
#include "fixed.hpp"
#include "links.hpp"
#include "profile.hpp"
#include "session.hpp"
#include "variant.hpp"

namespace edgesft {

/// Every graph of a variant, and its file; the one that gives the answer is the last.
inline Texts parts(const Fields& variant) {
    Texts found = variant.texts("graphs");
    found.emplace_back(MAIN, variant.text("file"));
    return found;
}

/// Where a variant's files lie: in their folder, or one of their own where the bundle is an archive.
class Unpacked {
  public:
    Unpacked(const Bundle& bundle, const Fields& variant) : bundle_(bundle) {
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
    }

    std::string path(const std::string& name) const {
        return folder_ ? (fs::path(folder_->path) / name).string() : bundle_.path(name);
    }

  private:
    const Bundle& bundle_;
    std::unique_ptr<TemporaryFolder> folder_;
};

class Model {
  public:
    /// Throws Broken where ONNX Runtime does not take a file, or the contract's links do not fit the graphs.
    Model(const Runtime& ort, const Bundle& bundle, const Json& variant, const Device& device, const std::string& provider,
          std::int64_t threads)
        : variant(variant), provider(provider), ort_(ort), fixed_(Fields("variant", this->variant).object("fixed")) {
        Fields said("variant", this->variant);
        auto given = device.options.find(provider);
        origin_.providers = {{provider, given == device.options.end() ? Texts() : given->second}};
        origin_.threads = threads;
        Texts graphs = parts(said);
        bool alone = bundle.packed() && said.words("files").size() == graphs.size();
        std::unique_ptr<Unpacked> files = alone ? nullptr : std::make_unique<Unpacked>(bundle, said);
        for (const auto& [graph, file] : graphs) {
            sessions[graph] = alone ? started(file, "", bundle.view(file)) : started(file, files->path(file));
        }
        Fields contract("contract", bundle.contract());
        links_ = links_of(contract, sessions);
        order_ = order_of(links_);
    }

    /// A session of a graph on what runs this model.
    ///
    /// Args:
    ///     name: What its file is called in the bundle.
    ///     path: Where it lies, unless it is in memory as `bytes`.
    std::shared_ptr<const Session> started(const std::string& name, const std::string& path, std::string_view bytes = {}) const {
        Origin origin = origin_;
        origin.model = path;
        try {
            auto made = std::make_shared<Session>(ort_, origin, options_of(ort_, origin), bytes);
            made->describe();
            return made;
        } catch (const Refusal& error) {
            throw Broken(name + ": must load in ONNX Runtime, got: " + error.what());
        }
    }

    /// One inference of each graph, those that give before those that take: outputs of the main one by name.
    ///
    /// Throws BadInput where it does not take such feeds.
    Arrays operator()(const Arrays& feeds) const {
        Feeds values;
        for (const auto& [name, array] : fixed_.padded(feeds)) values.push_back({name, tensor_of(ort_, array), array.shape});
        std::map<std::string, std::vector<Value>> made;
        for (const std::string& graph : order_) made[graph] = inferred(graph, values, made);
        Arrays outputs;
        const std::vector<Port>& ports = sessions.at(MAIN)->outputs;
        for (std::size_t index = 0; index < ports.size(); ++index) {
            const std::string& name = ports[index].name;
            outputs.emplace_back(name, array_of(ort_, name, made[MAIN][index].get()));
        }
        return fixed_.cut(outputs, feeds);
    }

    Arrays padded(const Arrays& feeds) const { return fixed_.padded(feeds); }

    const Json variant;
    const std::string provider;
    Sessions sessions;

  private:
    using Made = std::map<std::string, std::vector<Value>>;

    std::vector<Value> inferred(const std::string& graph, const Feeds& given, const Made& made) const {
        const Session& session = *sessions.at(graph);
        Feeds feeds;
        for (const Feed& feed : given) {
            // Of several graphs each takes its own of what is fed.
            if (sessions.size() == 1 || find_port(session.inputs, feed.name)) feeds.push_back(feed);
        }
        for (const Link& link : links_.at(graph)) {
            const std::vector<Port>& ports = sessions.at(link.giver)->outputs;
            auto index = static_cast<std::size_t>(find_port(ports, link.output) - ports.data());
            feeds.push_back({link.input, made.at(link.giver)[index], {}});
        }
        try {
            return session.run(feeds);
        } catch (const Refusal& error) {
            throw BadInput(std::string("the model must take what it is fed, got: ") + error.what());
        }
    }

    const Runtime& ort_;
    Origin origin_;
    Fixed fixed_;
    Links links_;
    std::vector<std::string> order_;
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
