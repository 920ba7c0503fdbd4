"""A few headlines with what Devanagari makes difficult, for tests that need text of any kind."""

# Nukta, eyelash reph (zero-width joiner), conjuncts, both danda and Latin punctuation.
HEADLINES = [
    "पुण्यात पावसाची जोरदार हजेरी",
    "दुसर्‍या कसोटीत भारताचा विजय",
    "शेतकऱ्यांना कर्जमाफी, विधानसभेत घोषणा",
    "ज़रा हटके: नव्या चित्रपटाची घोषणा",
    "मोबाइल फोनच्या किमती वाढल्या",
    "शाळा पुन्हा सुरू; विद्यार्थ्यांना दिलासा",
    "आरोग्य विभागाची नवी मोहीम सुरू",
    "विठ्ठलाच्या दर्शनासाठी पंढरपुरात गर्दी।",
]
