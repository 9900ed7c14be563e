// Arrays as they come in a request, an npz file or an answer, before and after the runtime has them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base64.hpp"
#include "fields.hpp"
#include "json.hpp"
#include "ort.hpp"
#include "refusal.hpp"

namespace edgesft {

// The protocol's arrays are little-endian, and here they are copied as they are.
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "this machine's bytes are in another order");

/// A type of elements; `bytes` is 0 where numpy, and so the protocol, has none for it, or where it is text.
struct Dtype {
    const char* name;
    ONNXTensorElementDataType type;
    std::size_t bytes;
};

constexpr Dtype DTYPES[] = {
    {"float32", ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, 4},
    {"float64", ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE, 8},
    {"float16", ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16, 2},
    {"int8", ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8, 1},
    {"int16", ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16, 2},
    {"int32", ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32, 4},
    {"int64", ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64, 8},
    {"uint8", ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8, 1},
    {"uint16", ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16, 2},
    {"uint32", ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32, 4},
    {"uint64", ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64, 8},
    {"bool", ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL, 1},
    {"string", ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING, 0},
    {"bfloat16", ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16, 0},
    {"complex64", ONNX_TENSOR_ELEMENT_DATA_TYPE_COMPLEX64, 0},
    {"complex128", ONNX_TENSOR_ELEMENT_DATA_TYPE_COMPLEX128, 0},
    {"float8e4m3fn", ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E4M3FN, 0},
    {"float8e4m3fnuz", ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E4M3FNUZ, 0},
    {"float8e5m2", ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E5M2, 0},
    {"float8e5m2fnuz", ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E5M2FNUZ, 0},
    {"uint4", ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT4, 0},
    {"int4", ONNX_TENSOR_ELEMENT_DATA_TYPE_INT4, 0},
};

/// The runtime's type of elements by its own number; a newer runtime may have one that is not known here.
inline Dtype dtype_of(ONNXTensorElementDataType type) {
    for (const Dtype& each : DTYPES) {
        if (each.type == type) return each;
    }
    return {"unknown", type, 0};
}

inline Dtype dtype_named(std::string_view name) {
    for (const Dtype& each : DTYPES) {
        if (each.name == name && (each.bytes || name == "string")) return each;
    }
    throw Refusal("dtype must be one of numpy's, such as float32, int64 or bool, or string, got " + std::string(name));
}

/// Elements in row-major order: `bytes`, or `texts` where the dtype is `string`.
struct Array {
    Dtype dtype;
    std::vector<std::int64_t> shape;
    std::vector<std::uint8_t> bytes;
    std::vector<std::string> texts;

    bool is_text() const { return dtype.type == ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING; }
};

/// Elements of an array of this shape. Throws Refusal where an axis is negative or all together are too many.
inline std::size_t elements(const std::vector<std::int64_t>& shape) {
    // So that also the bytes of 8 each are a number that fits.
    std::int64_t count = 1;
    for (std::int64_t axis : shape) {
        if (axis < 0 || __builtin_mul_overflow(count, axis, &count) || count > (INT64_MAX >> 4)) {
            throw Refusal("shape must be sizes of axes, got " + Json(shape).text());
        }
    }
    return static_cast<std::size_t>(count);
}

/// Throws Refusal where the data are of another size than the shape says; `name` is the array's.
inline void check_size(std::string_view name, const Array& array) {
    std::size_t size = array.is_text() ? array.texts.size() : array.bytes.size();
    std::size_t wanted = elements(array.shape) * (array.is_text() ? 1 : array.dtype.bytes);
    if (size == wanted) return;
    throw Refusal("data of " + std::string(name) + " must be " + std::to_string(wanted) +
                  (array.is_text() ? " texts" : " bytes") + ", as the shape says, got " + std::to_string(size));
}

/// An array from its JSON form.
inline Array array_of(std::string_view name, const Json& json) {
    Fields fields(name, json);
    Array array{dtype_named(fields.text("dtype")), fields.wholes("shape"), {}, {}};
    if (array.is_text()) {
        array.texts = fields.words("data");
    } else {
        array.bytes = base64_decode(fields.text("data"));
    }
    check_size(name, array);
    return array;
}

inline Json json_of(const Array& array) {
    Json data = array.is_text() ? Json(array.texts) : Json(base64_encode(array.bytes.data(), array.bytes.size()));
    return Json::Map{{"dtype", array.dtype.name}, {"shape", array.shape}, {"data", data}};
}

}  // namespace edgesft
