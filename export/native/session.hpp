// A session, with its inputs and outputs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "provider.hpp"
#include "tensor.hpp"

namespace edgesft {

/// An input or output of the graph.
struct Port {
    std::string name, dtype;
    Json::List shape;
    bool fixed = true;

    Json json() const { return Json::Map{{"name", name}, {"dtype", dtype}, {"shape", shape}}; }
};

class Session {
  public:
    /// Creates the session. Throws Refusal where the runtime cannot, or lacks the asked provider.
    ///
    /// Args:
    ///     bytes: The model, where it lies in memory and not in the file that the origin names.
    Session(const Runtime& ort, const Origin& origin, Options options, std::string_view bytes = {})
        : ort(ort), origin(origin) {
        append_all(ort, options.get(), origin);
        OrtSession* made = nullptr;
        ort.check(bytes.empty()
                      ? ort->CreateSession(ort.env(), origin.model.c_str(), options.get(), &made)
                      : ort->CreateSessionFromArray(ort.env(), bytes.data(), bytes.size(), options.get(), &made));
        session_ = {made, ort->ReleaseSession};
    }

    OrtSession* get() const { return session_.get(); }

    /// Asks for the inputs and outputs: apart from the constructor, for that is timed.
    void describe() {
        std::size_t count = 0;
        ort.check(ort->SessionGetInputCount(get(), &count));
        for (std::size_t index = 0; index < count; ++index) {
            inputs.push_back(port(index, ort->SessionGetInputName, ort->SessionGetInputTypeInfo));
        }
        ort.check(ort->SessionGetOutputCount(get(), &count));
        for (std::size_t index = 0; index < count; ++index) {
            outputs.push_back(port(index, ort->SessionGetOutputName, ort->SessionGetOutputTypeInfo));
        }
    }

    /// An entry of the model's own metadata; nothing where it has none of this name.
    std::optional<std::string> metadata(const char* name) const {
        OrtModelMetadata* made = nullptr;
        ort.check(ort->SessionGetModelMetadata(get(), &made));
        Owned<OrtModelMetadata> all(made, ort->ReleaseModelMetadata);
        char* value = nullptr;
        ort.check(ort->ModelMetadataLookupCustomMetadataMap(made, ort.allocator, name, &value));
        return value ? std::optional(ort.taken(value)) : std::nullopt;
    }

    /// One inference, with all its outputs.
    std::vector<Value> run(const Feeds& feeds) const {
        std::vector<const char*> names;
        for (const Port& port : outputs) names.push_back(port.name.c_str());
        return run(feeds, names);
    }

    /// One inference, with some outputs; all of it stays in the runtime's memory.
    std::vector<Value> run(const Feeds& feeds, const std::vector<const char*>& names) const {
        std::vector<const char*> in_names;
        std::vector<const OrtValue*> values;
        for (const Feed& feed : feeds) in_names.push_back(feed.name.c_str()), values.push_back(feed.value.get());
        std::vector<OrtValue*> made(names.size(), nullptr);
        ort.check(ort->Run(get(), nullptr, in_names.data(), values.data(), values.size(), names.data(), made.size(),
                           made.data()));
        std::vector<Value> found;
        for (OrtValue* value : made) found.push_back(value_of(ort, value));
        return found;
    }

    const Runtime& ort;
    const Origin origin;
    std::vector<Port> inputs, outputs;

  private:
    template <typename GetName, typename GetType>
    Port port(std::size_t index, GetName get_name, GetType get_type) const {
        char* name = nullptr;
        ort.check(get_name(get(), index, ort.allocator, &name));
        Port found{ort.taken(name), "", {}, true};
        OrtTypeInfo* made = nullptr;
        ort.check(get_type(get(), index, &made));
        Owned<OrtTypeInfo> type(made, ort->ReleaseTypeInfo);
        const OrtTensorTypeAndShapeInfo* info = nullptr;
        ort.check(ort->CastTypeInfoToTensorInfo(made, &info));
        if (!info) {
            found.dtype = "no tensor";
            return found;
        }
        auto [dtype, sizes] = form_of(ort, info);
        std::vector<const char*> names(sizes.size());
        ort.check(ort->GetSymbolicDimensions(info, names.data(), names.size()));
        found.dtype = dtype.name;
        for (std::size_t axis = 0; axis < sizes.size(); ++axis) {
            found.fixed = found.fixed && sizes[axis] >= 0;
            Json name_or_null = *names[axis] ? Json(names[axis]) : Json();
            found.shape.push_back(sizes[axis] >= 0 ? Json(sizes[axis]) : name_or_null);
        }
        return found;
    }

    Owned<OrtSession> session_{nullptr, nullptr};
};

}  // namespace edgesft
