// The longest piece that is known, again and again (Wu et al. 2016, arXiv 1609.08144).
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "errors.hpp"
#include "fields.hpp"
#include "unicode.hpp"

namespace edgesft {

/// A token: its number, and the first character of the word that it covers and the one behind the last.
struct Token {
    std::int64_t id;
    std::size_t start, end;
};

class WordPiece {
  public:
    /// Throws Broken where its vocabulary is none.
    explicit WordPiece(const Fields& said) {
        most_ = static_cast<std::size_t>(said.whole("max_input_chars_per_word", 1));
        inner_ = said.text("continuing_subword_prefix");
        for (const auto& [word, id] : said.object("vocab").members()) {
            if (!id.as<std::int64_t>()) throw Broken("tokenizer.json: model.vocab must have numbers, got " + id.text());
            known_[word] = *id.as<std::int64_t>();
            longest_ = std::max(longest_, word.size());
        }
        auto unknown = known_.find(said.text("unk_token"));
        if (unknown == known_.end()) throw Broken("tokenizer.json: model.unk_token must be in its vocabulary");
        unknown_ = unknown->second;
    }

    std::vector<Token> operator()(const std::u32string& word) const {
        std::vector<Token> found;
        if (word.size() > most_) return {{unknown_, 0, word.size()}};
        for (std::size_t start = 0; start < word.size();) {
            std::string piece = start ? inner_ : "";
            std::size_t end = start;
            std::vector<std::size_t> sizes;  // of the piece up to each character
            for (; end < word.size() && piece.size() <= longest_; ++end) {
                append_utf8(piece, word[end]);
                sizes.push_back(piece.size());
            }
            auto token = known_.end();
            for (; end > start && token == known_.end(); --end) {
                piece.resize(sizes[end - start - 1]);
                token = known_.find(piece);
                if (token != known_.end()) break;
            }
            if (token == known_.end()) return {{unknown_, 0, word.size()}};
            found.push_back({token->second, start, end});
            start = end;
        }
        return found;
    }

  private:
    std::unordered_map<std::string, std::int64_t> known_;
    std::string inner_;
    std::size_t most_ = 100, longest_ = 0;
    std::int64_t unknown_ = 0;
};

}  // namespace edgesft
