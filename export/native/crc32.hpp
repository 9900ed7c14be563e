// CRC-32 as zip archives have it (PKWARE's APPNOTE, section 4.4.7).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace edgesft {

inline std::uint32_t crc32(std::string_view text) {
    static const auto table = [] {
        std::array<std::uint32_t, 256> made;
        for (std::uint32_t byte = 0; byte < 256; ++byte) {
            made[byte] = byte;
            for (int bit = 0; bit < 8; ++bit) made[byte] = made[byte] >> 1 ^ (made[byte] & 1 ? 0xEDB88320U : 0);
        }
        return made;
    }();
    std::uint32_t sum = 0xFFFFFFFF;
    for (char byte : text) sum = sum >> 8 ^ table[(sum ^ static_cast<unsigned char>(byte)) & 0xFF];
    return ~sum;
}

}  // namespace edgesft
