"""What readers and search engines are told of a page: texts of pictures, description, card, title."""

from tpl.book.finishing import finished

PAGE = """<head><title>A book &#8212; A book</title></head><body><h1>A book<a class="headerlink" href="#"></a></h1>
<div class="tpl-run admonition"><p class="admonition-title">The run</p><p>Profile quick.</p></div>
<p>One <em>picture</em> &amp; its mesh.</p>
<figure><img alt="../_images/0af3.png" src="../_images/0af3.png" />
<figcaption><p>
<span class="caption-text">Shapes with &quot;arms&quot;: <span>\\(2^3\\)</span>.</span><a class="headerlink">#</a>
</p></figcaption></figure>
<h2>Looking<a class="headerlink" href="#"></a></h2>
<img alt="../_images/77.png" src="../_images/77.png" /><img alt="a chair" src="x.png" />"""


def test_a_caption_is_its_picture_s_text():
    page = finished(PAGE)
    assert 'alt="Shapes with &quot;arms&quot;: \\(2^3\\)." src="../_images/0af3.png"' in page


def test_a_picture_without_a_caption_is_told_by_its_heading_and_one_with_a_text_keeps_it():
    page = finished(PAGE)
    assert 'alt="Picture: Looking" src="../_images/77.png"' in page and 'alt="a chair"' in page


def test_a_title_is_said_once():
    assert "<title>A book</title>" in finished(PAGE)
    assert "<title>A &#8212; B</title>" in finished("<head><title>A &#8212; B</title></head>")


def test_a_page_is_described_by_its_first_paragraph_and_has_a_card():
    page = finished(PAGE, "../_static/teaser.png")
    assert '<meta name="description" content="One picture &amp; its mesh."/>' in page
    assert '<meta property="og:image" content="../_static/teaser.png"/>' in page
    assert '<meta property="og:title" content="A book"/>' in page
    long = finished(f"<head></head><h1>x</h1><p>{'word ' * 100}</p>")
    assert 'content="word word' in long and 'word …"/>' in long


def test_what_has_no_name_gets_one_and_a_head_without_words_is_a_cell():
    page = finished(
        '<head></head><div id="pst-primary-sidebar" class="x"><summary><span class="toctree-toggle"></span></summary>'
        '<th class="head"><p></p></th><th>method</th>'
    )
    assert 'role="region" aria-label="the book"' in page and '<summary aria-label="' in page
    assert '<td class="head"><p></p></td><th>method</th>' in page


def test_a_bibliography_has_no_roles_that_do_not_suit_it():
    page = finished('<head></head><div role="list" class="citation-list"><div class="citation" role="doc-biblioentry">')
    assert page.endswith('<div class="citation-list"><div class="citation">')
