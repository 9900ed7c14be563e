// Reads npz files as `numpy.savez` writes them: a zip archive (PKWARE's APPNOTE) whose entries are stored as they are,
// each an array in numpy's format (numpy.lib.format). Compressed ones are refused: no library is needed so.
#pragma once

#include <charconv>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "array.hpp"
#include "crc32.hpp"

namespace edgesft {

/// One request: input → array.
using Arrays = std::vector<std::pair<std::string, Array>>;

class Npz {
  public:
    explicit Npz(const std::string& path) : path_(path) {
        std::ifstream file(path, std::ios::binary);
        if (!file) throw Refusal("inputs must be an npz file, got " + path + ", which cannot be read");
        data_.assign(std::istreambuf_iterator<char>(file), {});
    }

    /// Every array with its key, in the order of the file.
    Arrays arrays() const {
        constexpr std::size_t end_size = 22, entry_size = 46;
        if (data_.size() < end_size) fail("it is no zip archive");
        // The archive's end stands last, but for a comment.
        std::size_t end = data_.rfind("PK\5\6", data_.size() - end_size);
        if (end == std::string::npos) fail("it is no zip archive, or was cut short");
        std::size_t count = number(end + 10, 2), at = number(end + 16, 4);
        if (count == 0xFFFF || at == 0xFFFFFFFF) fail("it is too large: at most 65534 arrays in 4 GiB");
        Arrays found;
        for (std::size_t index = 0; index < count; ++index) {
            if (piece(at, entry_size).substr(0, 4) != "PK\1\2") fail("its directory is broken");
            std::size_t length = number(at + 28, 2);
            std::string key(piece(at + entry_size, length));
            found.emplace_back(without_ending(key), entry(key, at));
            at += entry_size + length + number(at + 30, 2) + number(at + 32, 2);
        }
        return found;
    }

  private:
    [[noreturn]] void fail(const std::string& reason) const {
        throw Refusal("inputs must be an npz file as numpy.savez writes it, got " + path_ + ": " + reason);
    }

    std::string_view piece(std::size_t at, std::size_t size) const {
        if (at > data_.size() || size > data_.size() - at) fail("it was cut short");
        return std::string_view(data_).substr(at, size);
    }

    std::size_t number(std::size_t at, std::size_t bytes) const {
        std::size_t value = 0;
        std::string_view text = piece(at, bytes);
        for (std::size_t place = bytes; place-- > 0;) value = value << 8 | static_cast<unsigned char>(text[place]);
        return value;
    }

    static std::string without_ending(const std::string& key) {
        bool has = key.size() > 4 && key.compare(key.size() - 4, 4, ".npy") == 0;
        return has ? key.substr(0, key.size() - 4) : key;
    }

    /// The array of the entry whose line of the directory stands here.
    Array entry(const std::string& key, std::size_t line) const {
        constexpr std::size_t header_size = 30;
        std::size_t method = number(line + 10, 2), size = number(line + 24, 4), at = number(line + 42, 4);
        if (number(line + 8, 2) & 1) fail(key + " is encrypted");
        if (method != 0) fail(key + " is compressed: write the file with numpy.savez, not savez_compressed");
        if (size == 0xFFFFFFFF || at == 0xFFFFFFFF) fail(key + " is too large: at most 4 GiB");
        if (piece(at, header_size).substr(0, 4) != "PK\3\4") fail(key + " is not where the directory says");
        std::string_view npy = piece(at + header_size + number(at + 26, 2) + number(at + 28, 2), size);
        if (crc32(npy) != number(line + 16, 4)) fail(key + " is damaged");
        return array(key, npy);
    }

    Array array(const std::string& key, std::string_view npy) const {
        if (npy.substr(0, 6) != "\x93NUMPY" || npy.size() < 12) fail(key + " is no array");
        // The length of the header has 2 bytes in version 1 and 4 in later ones.
        std::size_t wide = npy[6] == 1 ? 2 : 4, length = 0;
        for (std::size_t place = wide; place-- > 0;) length = length << 8 | static_cast<unsigned char>(npy[8 + place]);
        if (length > npy.size() - 8 - wide) fail(key + " was cut short");
        std::string header(npy.substr(8 + wide, length));
        std::string_view data = npy.substr(8 + wide + length);
        Array found{dtype(key, quoted(header, "'descr'")), shape(key, header), {}, {}};
        if (header.find("'fortran_order': False") == std::string::npos && found.shape.size() > 1) {
            fail(key + " is in column-major order: take numpy.ascontiguousarray of it");
        }
        found.bytes.assign(data.begin(), data.end());
        check_size(key, found);
        return found;
    }

    /// The text in quotes that follows a name; empty where it is something else.
    static std::string quoted(const std::string& header, std::string_view name) {
        std::size_t at = header.find(name);
        std::size_t begin = at == std::string::npos ? at : header.find_first_not_of(" :", at + name.size());
        if (begin == std::string::npos || header[begin] != '\'') return "";
        return header.substr(begin + 1, header.find('\'', begin + 1) - begin - 1);
    }

    Dtype dtype(const std::string& key, const std::string& described) const {
        static const std::map<char, std::string> kinds = {{'f', "float"}, {'i', "int"}, {'u', "uint"}};
        bool native = described.size() == 3 && (described[0] == '<' || described[0] == '|');
        if (native && described.substr(1) == "b1") return dtype_named("bool");
        if (native && kinds.count(described[1]) && described[2] >= '1' && described[2] <= '8') {
            return dtype_named(kinds.at(described[1]) + std::to_string(8 * (described[2] - '0')));
        }
        fail(key + " has dtype '" + described + "': only little-endian numbers and bool are read from such a file");
    }

    std::vector<std::int64_t> shape(const std::string& key, const std::string& header) const {
        std::vector<std::int64_t> axes;
        std::size_t at = header.find("'shape': (");
        if (at == std::string::npos) fail(key + " has no shape");
        const char *next = header.c_str() + at + 10, *end = header.c_str() + header.size();
        for (std::int64_t axis; *next != ')';) {
            auto [after, error] = std::from_chars(next, end, axis);
            if (error != std::errc()) fail(key + " has no shape");
            axes.push_back(axis);
            for (next = after; *next == ',' || *next == ' ';) ++next;
        }
        return axes;
    }

    std::string path_, data_;
};

/// Requests of an npz file: `<i>/<name>` is an input of the i-th one; keys without a `/` make one request.
inline std::vector<Arrays> requests_in(const std::string& path) {
    std::map<std::int64_t, Arrays> by_number;
    for (auto& [key, array] : Npz(path).arrays()) {
        std::size_t slash = key.find('/');
        std::int64_t number = 0;
        if (slash != std::string::npos) {
            auto [end, error] = std::from_chars(key.data(), key.data() + slash, number);
            if (error != std::errc() || end != key.data() + slash) {
                throw Refusal("keys of " + path + " must be '<number>/<input>', got '" + key + "'");
            }
        }
        by_number[number].emplace_back(slash == std::string::npos ? key : key.substr(slash + 1), std::move(array));
    }
    std::vector<Arrays> requests;
    for (auto& [number, arrays] : by_number) requests.push_back(std::move(arrays));
    return requests;
}

}  // namespace edgesft
