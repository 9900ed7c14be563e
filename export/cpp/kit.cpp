// `kit BUNDLE`: what it is, its answers, its golden rows, its latency. The command line is that of the kit in Python.

#include <charconv>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "kit/kit.hpp"

namespace {

using namespace edgesft;

constexpr const char* USAGE =
    "usage: kit [--runtime LIBRARY] BUNDLE [--text TEXT] [--question TEXT] [--file FILE] [--output FILE.wav]\n"
    "                                      [--system TEXT] [--max-tokens N] [--temperature T] [--top-k K] [--top-p P] [--seed S]\n"
    "                                      [--golden] [--measure] [--provider NAME] [--threads N]\n"
    "                                      [--samples N] [--seconds S] [--rounds N] [--warmup-seconds S]\n"
    "\n"
    "  BUNDLE                 folder or archive\n"
    "  --runtime LIBRARY      ONNX Runtime; by default EDGESFT_RUNTIME, or libonnxruntime.so where the system finds it\n"
    "  --text TEXT            a text to answer, or a passage; may be repeated\n"
    "  --question TEXT        that the passage answers\n"
    "  --file FILE            PPM, WAV or npz, or rows as JSON lines; may be repeated\n"
    "  --output FILE.wav      what a model makes of a sound\n"
    "  --system TEXT          what is said before a prompt\n"
    "  --max-tokens N         of an answer that is said token by token, by default 128\n"
    "  --temperature T        0, the default, takes the likeliest token\n"
    "  --top-k K, --top-p P   draw from the K likeliest (0 is all), from the likeliest with this share\n"
    "  --seed S               the same one draws the same tokens\n"
    "  --golden               hold the golden rows against the answers here\n"
    "  --measure              print latency as JSON lines; the options behind it are the agent's\n"
    "\n"
    "Exit codes: 0 holds, 1 the bundle is broken or answers otherwise, 2 bad input, 4 this device cannot do it.\n";

struct Options {
    std::string bundle, runtime, question, output, system;
    std::vector<std::string> texts, files, providers;
    bool asks = false, golden = false, measures = false;
    std::int64_t threads = 1;
    Measuring measuring;
    Sampling sampling;
};

double number(const std::string& name, const std::string& text, double least) {
    char* end = nullptr;
    double value = std::strtod(text.c_str(), &end);
    if (text.empty() || *end || !(value >= least)) throw BadInput(name + " must be a number, got '" + text + "'");
    return value;
}

template <typename Whole>
Whole whole_number(const std::string& name, const std::string& text) {
    Whole value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
        throw BadInput(name + " must be a whole number, got '" + text + "'");
    }
    return value;
}

Options options_in(int count, char** words) {
    Options found;
    if (const char* named = std::getenv("EDGESFT_RUNTIME")) found.runtime = named;
    for (int index = 1; index < count; ++index) {
        std::string word = words[index];
        if (word.rfind("--", 0) != 0) {
            if (!found.bundle.empty()) throw BadInput("there must be one bundle, got '" + word + "', too");
            found.bundle = word;
            continue;
        }
        if (word == "--golden" || word == "--measure") {
            (word == "--golden" ? found.golden : found.measures) = true;
            continue;
        }
        if (++index == count) throw BadInput(word + " must have a value");
        std::string value = words[index];
        auto whole = [&] { return static_cast<std::int64_t>(number(word, value, 1)); };
        if (word == "--text") found.texts.push_back(value);
        else if (word == "--question") found.question = value, found.asks = true;
        else if (word == "--file") found.files.push_back(value);
        else if (word == "--output") found.output = value;
        else if (word == "--runtime") found.runtime = value;
        else if (word == "--system") found.system = value;
        else if (word == "--max-tokens") found.measuring.most = whole_number<std::int64_t>(word, value);
        else if (word == "--temperature") found.sampling.temperature = number(word, value, -INFINITY);
        else if (word == "--top-k") found.sampling.top_k = whole_number<std::int64_t>(word, value);
        else if (word == "--top-p") found.sampling.top_p = number(word, value, -INFINITY);
        else if (word == "--seed") found.sampling.seed = whole_number<std::uint64_t>(word, value);
        else if (word == "--provider") found.providers.push_back(value);
        else if (word == "--threads") found.threads = whole();
        else if (word == "--samples") found.measuring.samples = whole();
        else if (word == "--rounds") found.measuring.rounds = whole();
        else if (word == "--seconds") found.measuring.seconds = number(word, value, 0);
        else if (word == "--warmup-seconds") found.measuring.warmup_seconds = number(word, value, 0);
        else throw BadInput("there is no option " + word);
    }
    if (found.bundle.empty()) throw BadInput("a bundle must be named");
    if (found.runtime.empty()) found.runtime = "libonnxruntime.so";
    return found;
}

bool reads_text(const Kit& kit) {
    return kit.reads() == "text" || kit.reads() == "words" || kit.reads() == "text-pair" || kit.reads() == "conversation";
}

/// The rows of a file as the bundle reads it.
void add_file(const Kit& kit, const std::string& file, std::vector<Row>& rows) {
    if (!reads_text(kit)) {
        rows.emplace_back();
        rows.back().columns = Json::Map{{kit.reads() == "arrays" ? "file" : kit.columns()[0], file}};
        return;
    }
    std::ifstream lines(file);
    if (!lines) throw BadInput("--file must be rows as JSON lines, got '" + file + "'");
    for (std::string line; std::getline(lines, line);) {
        if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
        rows.emplace_back();
        try {
            rows.back().columns = Reader(line).read();
        } catch (const Refusal& error) {
            throw BadInput("--file must be rows as JSON lines, got '" + file + "': " + error.what());
        }
    }
}

std::vector<Row> rows_of(const Kit& kit, const Options& options) {
    std::vector<Row> rows;
    if (!options.texts.empty() && !reads_text(kit)) {
        throw BadInput("--text must be given to a bundle that reads text, got one that reads " + kit.reads() + ": --file");
    }
    if (!options.texts.empty() && options.asks != (kit.reads() == "text-pair")) {
        throw BadInput("--question must come with a passage, and with it alone; this bundle reads " + kit.reads());
    }
    for (const std::string& text : options.texts) {
        Json::Map columns;
        if (options.asks) columns.emplace_back(kit.columns()[0], options.question);
        if (!options.system.empty() && kit.columns()[0] == "prompt") columns.emplace_back("system", options.system);
        columns.emplace_back(kit.columns()[options.asks ? 1 : 0], text);
        rows.emplace_back();
        rows.back().columns = columns;
    }
    for (const std::string& file : options.files) add_file(kit, file, rows);
    return rows;
}

/// Prints an answer token by token as it comes, and how fast it came; of a file's rows a line of JSON each.
void write_answer(const Kit& kit, const Row& row, const Options& options, bool streamed) {
    Said said = kit.say(row, options.measuring.most, options.sampling, [&](const std::string& piece) {
        if (streamed) std::cout << piece << std::flush;
        return true;
    });
    std::cout << (streamed ? "" : said.json().text()) << std::endl;
    if (!streamed) return;
    char told[160];
    std::snprintf(told, sizeof told, "%zu tokens, ended by %s; first after %.1f ms", said.tokens.size(), said.end,
                  static_cast<double>(said.first_ns) / 1e6);
    std::cerr << told;
    if (auto pace = said.tokens_per_second()) std::cerr << ", " << std::llround(*pace) << " tokens/s after it";
    std::cerr << std::endl;
}

int run(const Options& options) {
    Kit kit(options.bundle, options.runtime, options.providers, options.threads);
    std::vector<Row> rows = rows_of(kit, options);
    if (options.measures) {
        kit.measure(rows, options.measuring, [](const Json::Map& reply) { std::cout << Json(reply).text() << std::endl; });
        return 0;
    }
    for (std::size_t place = 0; kit.writes() && place < rows.size(); ++place) {
        write_answer(kit, rows[place], options, place < options.texts.size());
    }
    for (std::size_t place = 0; !kit.writes() && place < rows.size(); ++place) {
        const Row& row = rows[place];
        Answer answer = kit.answer(row);
        if (!options.output.empty() && !answer.samples.empty()) write_wav(options.output, answer.samples, answer.rate);
        std::cout << answer.json.text() << std::endl;
    }
    if (options.golden) {
        std::vector<std::string> wrong = kit.golden();
        for (const std::string& line : wrong) std::cerr << line << "\n";
        std::cerr << "the golden rows " << (wrong.empty() ? "hold" : "are answered otherwise") << "\n";
        return wrong.empty() ? 0 : 1;
    }
    if (rows.empty()) std::cout << kit.about().text() << std::endl;
    return 0;
}

}  // namespace

int main(int count, char** words) {
    if (count == 2 && (std::string(words[1]) == "--help" || std::string(words[1]) == "-h")) {
        std::cout << USAGE;
        return 0;
    }
    try {
        return run(options_in(count, words));
    } catch (const std::exception& error) {
        std::cerr << "kit: " << error.what() << "\n";
        return edgesft::code_of(error);
    }
}
