// Byte-pair encodings: the pair of the lowest rank is joined, again and again (Sennrich et al. 2016, arXiv 1508.07909).
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <queue>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "errors.hpp"
#include "fields.hpp"
#include "unicode.hpp"
#include "wordpiece.hpp"

namespace edgesft {

/// The letter that stands for each byte (GPT-2's table): itself where it can be seen, else one behind 255.
inline const std::vector<char32_t>& byte_letters() {
    static const std::vector<char32_t> letters = [] {
        std::vector<char32_t> found;
        char32_t next = 0x100;
        for (char32_t byte = 0; byte < 0x100; ++byte) {
            bool seen = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
            found.push_back(seen ? byte : next++);
        }
        return found;
    }();
    return letters;
}

/// How a byte is called that stands for itself among letters.
inline std::string byte_name(unsigned char byte) {
    constexpr char digits[] = "0123456789ABCDEF";
    return std::string("<0x") + digits[byte >> 4] + digits[byte & 0xF] + '>';
}

class Pairs {
  public:
    /// Args:
    ///     of_bytes: Whether its letters stand for bytes.
    ///
    /// Throws:
    ///     Broken: It drops merges at random, marks words' ends, or does not know what it makes.
    Pairs(const Fields& said, bool of_bytes) : of_bytes_(of_bytes) {
        for (const char* odd : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"}) {
            const Json* value = said.given(odd);
            bool none = !value || (value->as<std::string>() && value->as<std::string>()->empty());
            if (!none) throw Broken(std::string("tokenizer.json: model BPE must be plain, got ") + odd);
        }
        for (const auto& [word, id] : said.object("vocab").members()) {
            const std::int64_t* number = id.as<std::int64_t>();
            if (!number || *number < 0 || *number > INT32_MAX) {
                throw Broken("tokenizer.json: model.vocab must have numbers, got " + id.text());
            }
            known_[word] = *number;
        }
        whole_ = said.flag("ignore_merges");
        fallback_ = said.flag("byte_fallback");
        fuses_ = said.flag("fuse_unk");
        if (said.given("unk_token")) unknown_ = id_of(said.text("unk_token"));
        const Json::List& merges = said.list("merges");
        for (std::size_t rank = 0; rank < merges.size(); ++rank) add(merges[rank], rank);
    }

    std::vector<Token> operator()(const std::u32string& word) const {
        if (whole_) {
            std::string name;
            for (unsigned char byte : of_bytes_ ? utf8_of(word) : std::string()) append_utf8(name, byte_letters()[byte]);
            auto found = known_.find(of_bytes_ ? name : utf8_of(word));
            if (found != known_.end()) return {{found->second, 0, word.size()}};
        }
        std::vector<Token> parts;
        for (std::size_t place = 0; place < word.size(); ++place) {
            of_bytes_ ? bytes(word[place], place, parts) : letter(word[place], place, parts);
        }
        return joined(std::move(parts));
    }

  private:
    struct Merge {
        std::size_t rank;
        std::int64_t made;
    };

    std::int64_t id_of(const std::string& name) const {
        auto found = known_.find(name);
        if (found == known_.end()) {
            throw Broken("tokenizer.json: model BPE must know all that it makes, got '" + name + "' that it does not");
        }
        return found->second;
    }

    static std::uint64_t key(std::int64_t one, std::int64_t other) {
        return static_cast<std::uint64_t>(one) << 32 | static_cast<std::uint64_t>(other);
    }

    /// A pair is `"a b"` or `["a", "b"]`.
    void add(const Json& said, std::size_t rank) {
        std::string one, other;
        if (const std::string* text = said.as<std::string>()) {
            std::size_t blank = text->find(' ');
            one = text->substr(0, blank);
            if (blank != std::string::npos) other = text->substr(blank + 1);
        } else if (const Json::List* both = said.as<Json::List>(); both && both->size() == 2) {
            for (auto [place, part] : {std::pair(0, &one), std::pair(1, &other)}) {
                const std::string* text = (*both)[static_cast<std::size_t>(place)].as<std::string>();
                if (text) *part = *text;
            }
        }
        if (one.empty() || other.empty()) throw Broken("tokenizer.json: model.merges must have pairs, got " + said.text());
        merges_.insert_or_assign(key(id_of(one), id_of(other)), Merge{rank, id_of(one + other)});
    }

    void bytes(char32_t letter, std::size_t place, std::vector<Token>& parts) const {
        std::string spelled;
        append_utf8(spelled, letter);
        for (unsigned char byte : spelled) {
            std::string name;
            append_utf8(name, byte_letters()[byte]);
            auto found = known_.find(name);
            if (found == known_.end()) {
                throw Broken("tokenizer.json: model BPE must know every byte, got '" + name + "' that it does not");
            }
            parts.push_back({found->second, place, place + 1});
        }
    }

    /// A letter; where it is not known its bytes, or what stands for all such, or nothing.
    void letter(char32_t letter, std::size_t place, std::vector<Token>& parts) const {
        std::string name;
        append_utf8(name, letter);
        if (auto found = known_.find(name); found != known_.end()) {
            parts.push_back({found->second, place, place + 1});
            return;
        }
        std::vector<Token> spelled;
        for (unsigned char byte : fallback_ ? name : std::string()) {
            auto found = known_.find(byte_name(byte));
            if (found != known_.end()) spelled.push_back({found->second, place, place + 1});
        }
        if (fallback_ && spelled.size() == name.size()) {
            parts.insert(parts.end(), spelled.begin(), spelled.end());
        } else if (unknown_ && fuses_ && !parts.empty() && parts.back().id == *unknown_) {
            parts.back().end = place + 1;
        } else if (unknown_) {
            parts.push_back({*unknown_, place, place + 1});
        }
    }

    /// Neighbours joined by rank, of equal ones the first, until no pair has one; as fast as sorting is.
    std::vector<Token> joined(std::vector<Token> parts) const {
        constexpr std::int64_t gone = -1;
        std::size_t count = parts.size();
        std::vector<std::size_t> before(count), after(count);  // neighbours; `count` where there is none
        using Waiting = std::tuple<std::size_t, std::size_t, std::int64_t, std::int64_t>;  // rank, place, both
        std::priority_queue<Waiting, std::vector<Waiting>, std::greater<>> waiting;
        auto wait = [&](std::size_t left, std::size_t right) {
            if (left >= count || right >= count) return;
            auto found = merges_.find(key(parts[left].id, parts[right].id));
            if (found != merges_.end()) waiting.push({found->second.rank, left, parts[left].id, parts[right].id});
        };
        for (std::size_t place = 0; place < count; ++place) {
            before[place] = place ? place - 1 : count;
            after[place] = place + 1;
            wait(before[place], place);
        }
        while (!waiting.empty()) {
            auto [rank, left, one, other] = waiting.top();
            waiting.pop();
            std::size_t right = after[left];
            // One of them may have been joined since.
            if (right >= count || parts[left].id != one || parts[right].id != other) continue;
            parts[left] = {merges_.at(key(one, other)).made, parts[left].start, parts[right].end};
            parts[right].id = gone;
            after[left] = after[right];
            if (after[left] < count) before[after[left]] = left;
            wait(before[left], left);
            wait(left, after[left]);
        }
        parts.erase(std::remove_if(parts.begin(), parts.end(), [](const Token& each) { return each.id == gone; }), parts.end());
        return parts;
    }

    bool of_bytes_, whole_ = false, fallback_ = false, fuses_ = false;
    std::unordered_map<std::string, std::int64_t> known_;
    std::unordered_map<std::uint64_t, Merge> merges_;
    std::optional<std::int64_t> unknown_;
};

}  // namespace edgesft
