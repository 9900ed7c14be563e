// Base64 with padding (RFC 4648, section 4): how the bytes of an array are written.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "refusal.hpp"

namespace edgesft {

constexpr std::string_view BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

inline std::string base64_encode(const std::uint8_t* bytes, std::size_t size) {
    std::string text;
    text.reserve((size + 2) / 3 * 4);
    for (std::size_t at = 0; at < size; at += 3) {
        std::size_t held = size - at < 3 ? size - at : 3;
        std::uint32_t word = 0;
        for (std::size_t place = 0; place < 3; ++place) word = word << 8 | (place < held ? bytes[at + place] : 0);
        for (std::size_t place = 0; place < 4; ++place) {
            text += place <= held ? BASE64[word >> (18 - 6 * place) & 63] : '=';
        }
    }
    return text;
}

/// Throws Refusal where the text is not base64, or has other characters in it.
inline std::vector<std::uint8_t> base64_decode(std::string_view text) {
    static const auto values = [] {
        std::array<std::int8_t, 256> table;
        table.fill(-1);
        for (std::size_t value = 0; value < BASE64.size(); ++value) {
            table[static_cast<unsigned char>(BASE64[value])] = static_cast<std::int8_t>(value);
        }
        return table;
    }();
    std::size_t padding = 0;
    while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
    std::vector<std::uint8_t> bytes;
    bytes.reserve(text.size() / 4 * 3);
    std::uint32_t word = 0;
    for (std::size_t at = 0; at < text.size(); ++at) {
        int value = at < text.size() - padding ? values[static_cast<unsigned char>(text[at])] : 0;
        if (value < 0 || text.size() % 4) throw Refusal("data must be base64 with padding");
        word = word << 6 | static_cast<std::uint32_t>(value);
        if (at % 4 == 3) {
            for (int shift : {16, 8, 0}) bytes.push_back(static_cast<std::uint8_t>(word >> shift));
        }
    }
    bytes.resize(bytes.size() - padding);
    return bytes;
}

}  // namespace edgesft
