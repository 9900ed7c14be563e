// Arrays in the runtime's own form.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "array.hpp"
#include "runtime.hpp"

namespace edgesft {

/// Shared, for a state is an output of one inference and an input of the next.
using Value = std::shared_ptr<OrtValue>;

inline Value value_of(const Runtime& ort, OrtValue* made) { return {made, ort->ReleaseValue}; }

/// An input with its value.
struct Feed {
    std::string name;
    Value value;
    std::vector<std::int64_t> shape;
};

using Feeds = std::vector<Feed>;

/// A tensor with a copy of the array, in memory that the runtime aligns.
inline Value tensor_of(const Runtime& ort, const Array& array) {
    OrtValue* made = nullptr;
    const auto& shape = array.shape;
    ort.check(ort->CreateTensorAsOrtValue(ort.allocator, shape.data(), shape.size(), array.dtype.type, &made));
    Value value = value_of(ort, made);
    for (std::size_t index = 0; index < array.texts.size(); ++index) {
        const std::string& text = array.texts[index];
        char* buffer = nullptr;
        ort.check(ort->GetResizedStringTensorElementBuffer(made, index, text.size(), &buffer));
        std::memcpy(buffer, text.data(), text.size());
    }
    if (!array.bytes.empty()) {
        void* data = nullptr;
        ort.check(ort->GetTensorMutableData(made, &data));
        std::memcpy(data, array.bytes.data(), array.bytes.size());
    }
    return value;
}

inline std::pair<Dtype, std::vector<std::int64_t>> form_of(const Runtime& ort, const OrtTensorTypeAndShapeInfo* info) {
    ONNXTensorElementDataType type;
    std::size_t count = 0;
    ort.check(ort->GetTensorElementType(info, &type));
    ort.check(ort->GetDimensionsCount(info, &count));
    std::vector<std::int64_t> shape(count);
    ort.check(ort->GetDimensions(info, shape.data(), count));
    return {dtype_of(type), shape};
}

inline std::pair<Dtype, std::vector<std::int64_t>> form_of(const Runtime& ort, const OrtValue* value) {
    OrtTensorTypeAndShapeInfo* made = nullptr;
    ort.check(ort->GetTensorTypeAndShape(value, &made));
    Owned<OrtTensorTypeAndShapeInfo> info(made, ort->ReleaseTensorTypeAndShapeInfo);
    return form_of(ort, made);
}

/// The array of an output. Throws Refusal where it is no tensor, or one whose elements numpy has no type for.
inline Array array_of(const Runtime& ort, const std::string& name, OrtValue* value) {
    int is_tensor = 0;
    ort.check(ort->IsTensor(value, &is_tensor));
    if (!is_tensor) throw Refusal("an output must be a tensor, got a sequence or a map as " + name);
    auto [dtype, shape] = form_of(ort, value);
    Array array{dtype, shape, {}, {}};
    std::size_t count = elements(shape);
    if (array.is_text()) {
        for (std::size_t index = 0; index < count; ++index) {
            std::size_t length = 0;
            ort.check(ort->GetStringTensorElementLength(value, index, &length));
            std::string& text = array.texts.emplace_back(length, '\0');
            ort.check(ort->GetStringTensorElement(value, length, index, text.data()));
        }
        return array;
    }
    if (!dtype.bytes) {
        throw Refusal("an output must be of numbers that numpy has, got " + std::string(dtype.name) + " as " + name);
    }
    void* data = nullptr;
    ort.check(ort->GetTensorMutableData(value, &data));
    const auto* bytes = static_cast<const std::uint8_t*>(data);
    array.bytes.assign(bytes, bytes + count * dtype.bytes);
    return array;
}

}  // namespace edgesft
