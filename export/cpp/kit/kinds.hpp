// What is known of characters, from the tables that export/characters.py writes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "characters.hpp"

namespace edgesft {

/// Words of `characters`, each parted into its numbers.
inline std::vector<std::vector<char32_t>> numbers_in(const char* told) {
    std::vector<std::vector<char32_t>> found(1);
    for (const char* at = told; *at;) {
        char* end = nullptr;
        found.back().push_back(static_cast<char32_t>(std::strtoul(at, &end, 16)));
        if (*end == ' ') found.emplace_back();
        at = end + 1;
    }
    found.pop_back();  // behind the last blank is nothing
    return found;
}

/// The last character that there is.
constexpr char32_t LAST = 0x10FFFF;

/// Characters of a kind.
class Kind {
  public:
    Kind() = default;

    explicit Kind(const char* ranges) {
        for (const auto& range : numbers_in(ranges)) ranges_.emplace_back(range.front(), range.back());
    }

    bool has(char32_t letter) const {
        auto after = std::upper_bound(ranges_.begin(), ranges_.end(), letter,
                                      [](char32_t wanted, const auto& range) { return wanted < range.first; });
        return after != ranges_.begin() && letter <= (*--after).second;
    }

    void add(char32_t first, char32_t last) {
        ranges_.emplace_back(first, last);
        join();
    }

    void add(const Kind& other) {
        ranges_.insert(ranges_.end(), other.ranges_.begin(), other.ranges_.end());
        join();
    }

    /// All others.
    Kind others() const {
        Kind found;
        char32_t next = 0;
        for (const auto& [first, last] : ranges_) {
            if (first > next) found.ranges_.emplace_back(next, first - 1);
            next = last + 1;
        }
        if (next <= LAST) found.ranges_.emplace_back(next, LAST);
        return found;
    }

    bool empty() const { return ranges_.empty(); }

  private:
    void join() {
        std::sort(ranges_.begin(), ranges_.end());
        std::vector<std::pair<char32_t, char32_t>> joined;
        for (const auto& range : ranges_) {
            if (joined.empty() || range.first > joined.back().second + 1) joined.push_back(range);
            else joined.back().second = std::max(joined.back().second, range.second);
        }
        ranges_ = std::move(joined);
    }

    std::vector<std::pair<char32_t, char32_t>> ranges_;
};

/// Characters of a general category, or of all whose name begins so; none where there is no such category.
inline Kind category(std::string_view name) {
    Kind found;
    for (const auto& [own, ranges] : characters::CATEGORIES) {
        if (std::string_view(own).substr(0, name.size()) == name) found.add(Kind(ranges));
    }
    return found;
}

/// All that is known of characters wherever they stand.
struct Characters {
    Kind blank{characters::BLANK}, space{characters::SPACE}, removed{characters::REMOVED}, marks{characters::MARKS},
        punctuation{characters::PUNCTUATION}, han{characters::HAN}, composed{characters::COMPOSED};
    /// What becomes of a character: its lower case, its canonical decomposition.
    std::unordered_map<char32_t, std::u32string> lower, apart;
    /// Classes of those that are put in order.
    std::unordered_map<char32_t, int> order;

    Characters() {
        for (const auto& run : numbers_in(characters::LOWER)) {
            // First, last, step, and the lower case of the first.
            for (char32_t letter = run[0]; letter <= run[1]; letter += run[2]) {
                lower[letter] = std::u32string(run.begin() + 3, run.end());
                lower[letter][0] += letter - run[0];
            }
        }
        for (const auto& each : numbers_in(characters::APART)) apart[each[0]] = {each.begin() + 1, each.end()};
        for (const auto& run : numbers_in(characters::ORDER)) {
            for (char32_t letter = run[0]; letter <= run[run.size() - 2]; ++letter) order[letter] = static_cast<int>(run.back());
        }
    }

    static const Characters& known() {
        static const Characters all;
        return all;
    }

    int class_of(char32_t letter) const {
        auto found = order.find(letter);
        return found == order.end() ? 0 : found->second;
    }
};

}  // namespace edgesft
