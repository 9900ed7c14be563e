// The archive's layout (export/BUNDLE.md): every byte but the files' own follows from their names and sizes. What is
// read is written again, and both must be the same.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "errors.hpp"

namespace edgesft {

/// A file of an archive: its bytes, their CRC-32, and where its header lies.
struct Entry {
    std::string name;
    std::uint32_t size, crc, offset;

    /// What stands before its bytes.
    std::string header() const {
        std::string extra;
        if (size >= ALIGNED) {
            std::size_t place = offset + 30 + name.size() + 6;
            std::size_t zeros = (ALIGNED - place % ALIGNED) % ALIGNED;
            extra = two(0xD935) + two(static_cast<std::uint32_t>(2 + zeros)) + two(ALIGNED) + std::string(zeros, '\0');
        }
        return "PK\3\4" + two(10) + two(0) + two(0) + two(0) + two(0x21) + four(crc) + four(size) + four(size) +
               two(static_cast<std::uint32_t>(name.size())) + two(static_cast<std::uint32_t>(extra.size())) + name +
               extra;
    }

    std::size_t start() const { return offset + header().size(); }

    /// What the directory has of it.
    std::string record() const {
        return "PK\1\2" + two(0x0314) + two(10) + two(0) + two(0) + two(0) + two(0x21) + four(crc) + four(size) +
               four(size) + two(static_cast<std::uint32_t>(name.size())) + std::string(8, '\0') + four(0x81A40000) +
               four(offset) + name;
    }

    static std::string two(std::uint32_t number) { return little(number, 2); }
    static std::string four(std::uint32_t number) { return little(number, 4); }

    static std::uint32_t number(std::string_view data, std::size_t at, std::size_t bytes) {
        std::uint32_t value = 0;
        for (std::size_t place = bytes; place-- > 0;) value = value << 8 | static_cast<unsigned char>(data[at + place]);
        return value;
    }

  private:
    static constexpr std::uint32_t ALIGNED = 4096;

    static std::string little(std::uint32_t number, int bytes) {
        std::string text;
        for (int place = 0; place < bytes; ++place, number >>= 8) text += static_cast<char>(number & 0xFF);
        return text;
    }
};

/// The files of an archive. Throws Broken where it is laid out otherwise.
inline std::vector<Entry> entries_of(std::string_view data) {
    constexpr std::size_t end_size = 22, record_size = 46, most_files = 10'000;
    auto ends = [&](bool holds) {
        if (!holds) throw Broken("archive must end with its directory: it was cut short, or something was added");
    };
    ends(data.size() >= end_size);
    std::string_view tail = data.substr(data.size() - end_size);
    std::uint32_t count = Entry::number(tail, 10, 2);
    std::size_t length = Entry::number(tail, 12, 4), start = Entry::number(tail, 16, 4);
    std::string two = Entry::two(count), sizes = Entry::four(static_cast<std::uint32_t>(length)) +
                                                 Entry::four(static_cast<std::uint32_t>(start));
    ends(tail == "PK\5\6" + std::string(4, '\0') + two + two + sizes + std::string(2, '\0'));
    ends(count <= most_files && start + length == data.size() - end_size);
    std::string_view directory = data.substr(start, length);
    std::vector<Entry> entries;
    std::size_t at = 0, place = 0;
    for (std::uint32_t index = 0; index < count; ++index) {
        ends(directory.size() - at >= record_size);
        std::size_t named = Entry::number(directory, at + 28, 2);
        ends(directory.size() - at - record_size >= named);
        Entry entry{std::string(directory.substr(at + record_size, named)), Entry::number(directory, at + 24, 4),
                    Entry::number(directory, at + 16, 4), Entry::number(directory, at + 42, 4)};
        std::string record = entry.record(), header = entry.header();
        if (directory.substr(at, record.size()) != record) {
            throw Broken(entry.name + ": must be a plain stored file in the archive, got another kind or other fields");
        }
        if (!entries.empty() && entries.back().name >= entry.name) {
            throw Broken(entry.name + ": must come before " + entries.back().name + ", and once, got it behind");
        }
        if (entry.offset != place || place > start || data.substr(place, header.size()) != header) {
            throw Broken(entry.name + ": must lie at byte " + std::to_string(place) + " behind its header, got another");
        }
        at += record.size();
        place += header.size() + entry.size;
        entries.push_back(std::move(entry));
    }
    ends(at == directory.size() && place == start);
    return entries;
}

}  // namespace edgesft
