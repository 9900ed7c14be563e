// Answers lines on standard input: tokens of a text and the text of tokens by a `tokenizer.json`, numbers of a seed.

#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>

#include "chance.hpp"
#include "detokenizer.hpp"
#include "tokenizer.hpp"
#include "reader.hpp"

using namespace edgesft;

int main(int count, char** words) {
    std::optional<Tokenizer> tokenizer;
    std::optional<Detokenizer> detokenizer;
    try {
        if (count > 1) {
            std::ifstream file(words[1]);
            Json said = Reader(std::string(std::istreambuf_iterator<char>(file), {})).read();
            tokenizer.emplace(said, false);
            detokenizer.emplace(said);
        }
    } catch (const std::exception& error) {
        std::cerr << error.what() << "\n";
        return code_of(error);
    }
    for (std::string line; std::getline(std::cin, line);) {
        Json asked = Reader(line).read();
        Fields said("a line", asked);
        Json told;
        if (said.find("text")) {
            Tokens whole = tokenizer->encode(said.text("text"), {SIZE_MAX, 0, false});
            Json::List covered;
            for (auto [start, end] : whole.covered) covered.push_back(Json::List{start, end});
            told = Json::Map{{"ids", whole.ids}, {"covered", covered}, {"plain", tokenizer->plain(said.text("text"))}};
        } else if (said.find("ids")) {
            told = (*detokenizer)(said.wholes("ids"));
        } else {
            Chance chance(std::stoull(said.text("seed")));
            Json::List numbers;
            for (std::int64_t place = 0; place < said.whole("count", 1); ++place) numbers.push_back(chance.next());
            told = numbers;
        }
        std::cout << told.text() << "\n";
    }
}
